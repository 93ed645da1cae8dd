-- Which versions hold messages of the conversations in question, how many of them, and whether it holds others too.
SELECT version, count(asked.message_id) AS n_messages, count(*) > count(asked.message_id) AS has_others
FROM messages
LEFT JOIN (
    SELECT DISTINCT unnest(message_ids) AS message_id
    FROM conversations
    WHERE version > $after AND version <= $upto AND conversation_id NOT IN (
        SELECT derived_from
        FROM conversations
        WHERE derived_from IS NOT NULL
    )
) AS asked
    ON asked.message_id = messages.message_id
GROUP BY version
HAVING count(asked.message_id) > 0
ORDER BY version
