-- Which versions hold messages of the conversations in question, and how many.
SELECT version, count(*) AS n_messages
FROM messages
WHERE message_id IN (
    SELECT unnest(message_ids)
    FROM conversations
    WHERE version > $after AND version <= $upto AND conversation_id NOT IN (
        SELECT derived_from
        FROM conversations
        WHERE derived_from IS NOT NULL
    )
)
GROUP BY version
ORDER BY version
