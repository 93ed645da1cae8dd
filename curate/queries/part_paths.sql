-- The messages of some conversations that belong to a part, in order.
SELECT places.number AS number, messages.rowid AS row, places.position AS position
FROM (
    SELECT
        piece.number,
        unnest(conversations.message_ids) AS message_id,
        generate_subscripts(conversations.message_ids, 1) AS position
    FROM piece
    JOIN conversations
        ON conversations.conversation_id = CAST(piece.id AS UUID)
) AS places
JOIN main.messages AS messages
    ON messages.message_id = places.message_id
WHERE messages.role IN (SELECT unnest($roles::VARCHAR[]))
ORDER BY places.number, places.position
