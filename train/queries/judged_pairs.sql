-- Pairs that one labeler decided, both orders taken together, the better answer first; and how many it did not.
-- Verdicts on whole conversations are left out: their last answers are no answers to one prompt.
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
    AND response_a_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
    AND response_b_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
ORDER BY prompt_id, chosen_id, rejected_id, scale
