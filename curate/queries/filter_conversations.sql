SELECT CAST(conversation_id AS BLOB) AS id, version, len(message_ids) AS n_messages
FROM conversations
WHERE version > $after AND version <= $upto AND conversation_id NOT IN (
    SELECT derived_from
    FROM conversations
    WHERE derived_from IS NOT NULL
)
ORDER BY version, conversation_id
