-- The pairs of selections.
SELECT
    CAST(md5(concat_ws(' ', pairs.selection_id, prompt_id, chosen_id, rejected_id, part))::UUID AS BLOB) AS id,
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(chosen_id AS VARCHAR) AS chosen_id,
    CAST(rejected_id AS VARCHAR) AS rejected_id,
    selections.name AS selection,
    NULL::VARCHAR AS labeler,
    'chosen' AS state,
    NULL::VARCHAR AS scale,
    score_gap AS gap,
    strength,
    part,
    score_chosen,
    score_rejected
FROM selection_pairs AS pairs
JOIN selections
    ON selections.selection_id = pairs.selection_id
WHERE pairs.version > $after
