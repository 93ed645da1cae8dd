-- What was said about each pair of answers by everybody but the annotator: whether an order conflicted, and the
-- least and the most that was said for the first.
SELECT
    CAST(prompt_id AS BLOB) AS prompt_id,
    CAST(response_a_id AS BLOB) AS first_id,
    CAST(response_b_id AS BLOB) AS second_id,
    bool_or(state = 'conflict') AS has_conflict,
    min(sign(signed_margin))::TINYINT AS least,
    max(sign(signed_margin))::TINYINT AS most
FROM merged_comparisons
WHERE state IN ('win', 'weak', 'tie', 'conflict')
    AND template NOT LIKE '%-seen'
    AND NOT (labeler_kind = 'person' AND labeler = $annotator)
    AND response_a_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
    AND response_b_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
GROUP BY ALL
