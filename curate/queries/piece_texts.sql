SELECT CAST(message_id AS BLOB) AS message, role, content
FROM messages
WHERE version IN (SELECT unnest($versions::BIGINT[]))
    AND message_id IN (SELECT CAST(id AS UUID) FROM piece_messages)
