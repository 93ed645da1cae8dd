-- Which messages stand in a conversation of those chosen.
SELECT DISTINCT CAST(message_id AS VARCHAR) AS id
FROM (
    SELECT conversation_id, unnest(message_ids) AS message_id
    FROM conversations
    WHERE version >= $first
)
WHERE message_id IN (SELECT unnest($ids::UUID[]))
    AND conversation_id IN (SELECT CAST(id AS UUID) FROM chosen_conversations)
