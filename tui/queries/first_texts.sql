-- The start of the first user turn; the first three messages hold it (a system turn, or the assistant first).
SELECT paths.conversation_id, arg_min(left(messages.content, 400), paths.position) AS first_text
FROM (
    SELECT
        conversation_id,
        unnest(message_ids[1:3]) AS message_id,
        unnest(range(least(len(message_ids), 3))) AS position
    FROM conversations
    WHERE conversation_id IN (SELECT unnest($ids::UUID[])) AND version BETWEEN $first AND $last
) AS paths
JOIN messages
    ON messages.message_id = paths.message_id
WHERE messages.role = 'user' AND messages.version BETWEEN $oldest AND $last
GROUP BY paths.conversation_id
