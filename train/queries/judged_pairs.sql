-- Pairs that one labeler decided, both orders taken together, the better answer first; and how many it did not.
-- $scale: only verdicts on this scale, NULL for all.
SELECT
    scale,
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(chosen_id AS VARCHAR) AS chosen_id,
    CAST(rejected_id AS VARCHAR) AS rejected_id,
    signed_margin
FROM merged_comparisons
WHERE labeler = $labeler
    AND ($scale IS NULL OR scale = $scale)
    AND response_a_id <> response_b_id
ORDER BY prompt_id, chosen_id, rejected_id, scale
