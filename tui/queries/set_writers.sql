-- Whose conversations responses stand in: the model named, else the class given.
SELECT
    CAST(path.message_id AS VARCHAR) AS response_id,
    string_agg(DISTINCT path.writer, ', ' ORDER BY path.writer) AS writers
FROM (
    SELECT unnest(message_ids) AS message_id, coalesce(nullif(model, ''), source_class, 'unknown') AS writer
    FROM conversations
) AS path
WHERE path.message_id IN (SELECT unnest($ids::UUID[]))
GROUP BY path.message_id
