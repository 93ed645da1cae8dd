-- Whose conversations responses stand in.
SELECT CAST(path.message_id AS VARCHAR) AS response_id, string_agg(DISTINCT path.writer, ', ' ORDER BY path.writer) AS writers
FROM (
    SELECT unnest(message_ids) AS message_id, coalesce(nullif(model, ''), class) AS writer
    FROM all_conversations
    WHERE list_has_any(message_ids, $ids::UUID[])
) AS path
WHERE path.message_id IN (SELECT unnest($ids::UUID[]))
GROUP BY path.message_id
