-- The texts of some messages.
SELECT
    CAST(message_id AS VARCHAR),
    role,
    content
FROM messages
WHERE message_id IN (SELECT unnest(CAST($message_ids AS UUID[])))
