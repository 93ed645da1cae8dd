-- The pairs of several selections together: one that several hold comes once, as the first of them has it.
SELECT
    prompt_id,
    chosen_id,
    rejected_id,
    score_chosen,
    score_rejected,
    score_gap,
    rank_chosen,
    rank_rejected,
    strength,
    part
FROM selection_pairs
WHERE list_contains(CAST($members AS UUID[]), selection_id)
QUALIFY row_number() OVER (
    PARTITION BY prompt_id, chosen_id, rejected_id
    ORDER BY list_position(CAST($members AS UUID[]), selection_id)
) = 1
