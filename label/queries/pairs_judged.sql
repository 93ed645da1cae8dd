-- Every verdict of $labelers, all orders taken together, as (state, prompt, chosen, rejected, margin, scale);
-- what people said after the authors had been shown counts nowhere, and neither do verdicts on whole
-- conversations, whose last answers are no answers to one prompt.
SELECT
    state,
    CAST(prompt_id AS VARCHAR),
    CAST(chosen_id AS VARCHAR),
    CAST(rejected_id AS VARCHAR),
    abs(signed_margin),
    scale
FROM merged_comparisons
WHERE labeler IN (SELECT unnest(CAST($labelers AS VARCHAR[])))
    AND template NOT LIKE '%-seen'
    AND response_a_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
    AND response_b_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id) /* where */
ORDER BY prompt_id, response_a_id, response_b_id, created_at, labeler, template, scale, draw_index
