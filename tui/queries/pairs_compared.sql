-- What each labeler said about two responses, all orders taken together; without a winner, A stands first.
SELECT
    CAST(md5(concat_ws(' ', prompt_id, response_a_id, response_b_id, policy_a, policy_b, labeler, template, scale, draw_index))::UUID AS BLOB) AS id,
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(coalesce(chosen_id, response_a_id) AS VARCHAR) AS chosen_id,
    CAST(coalesce(rejected_id, response_b_id) AS VARCHAR) AS rejected_id,
    NULL::VARCHAR AS selection,
    labeler,
    state,
    scale,
    abs(signed_margin) AS gap,
    NULL::VARCHAR AS strength,
    NULL::VARCHAR AS part,
    NULL::DOUBLE AS score_chosen,
    NULL::DOUBLE AS score_rejected
FROM merged_comparisons
WHERE prompt_id IN (SELECT prompt_id FROM comparisons WHERE version > $after)
