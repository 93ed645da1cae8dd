-- Every verdict of $labelers, all orders taken together, as (state, prompt, chosen, rejected, margin, scale);
-- what people said after the authors had been shown counts nowhere.
SELECT
    state,
    CAST(prompt_id AS VARCHAR),
    CAST(chosen_id AS VARCHAR),
    CAST(rejected_id AS VARCHAR),
    abs(signed_margin),
    scale
FROM merged_comparisons
WHERE labeler IN (SELECT unnest(CAST($labelers AS VARCHAR[])))
    AND template NOT LIKE '%-seen' /* where */
ORDER BY prompt_id, response_a_id, response_b_id, created_at, labeler, template, scale, draw_index
