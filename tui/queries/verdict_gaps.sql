-- The verdicts of models on two answers to a prompt, and how far apart each puts them.
SELECT
    CAST(prompt_id AS BLOB) AS prompt_id,
    CAST(response_a_id AS BLOB) AS first_id,
    CAST(response_b_id AS BLOB) AS second_id,
    concat(labeler, template, scale) AS kind,
    abs(signed_margin) AS gap
FROM merged_comparisons
WHERE labeler_kind <> 'person' AND signed_margin IS NOT NULL
    AND response_a_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
    AND response_b_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
