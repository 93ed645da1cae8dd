SELECT DISTINCT CAST(conversation_id AS BLOB) AS id
FROM (SELECT conversation_id, unnest(message_ids) AS message_id FROM conversations)
WHERE message_id IN (SELECT CAST(id AS UUID) FROM found_messages)
