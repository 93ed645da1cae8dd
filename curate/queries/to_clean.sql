-- The conversations that may be cleaned, in the order they were written, and how many messages each has.
SELECT CAST(conversation_id AS BLOB) AS id, len(message_ids) AS n_messages
FROM current_conversations
ORDER BY version, conversation_id
