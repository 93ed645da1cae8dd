SELECT CAST(message_id AS VARCHAR) AS id, role, content
FROM messages
WHERE message_id IN (SELECT unnest($ids::UUID[])) AND version = $version
