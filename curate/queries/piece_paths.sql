-- The messages along the conversations of a piece.
SELECT
    CAST(places.conversation_id AS BLOB) AS conversation,
    places.position AS position,
    CAST(places.message_id AS BLOB) AS message
FROM (
    SELECT
        conversation_id,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM conversations
    WHERE conversation_id IN (SELECT CAST(id AS UUID) FROM piece)
) AS places
ORDER BY places.conversation_id, places.position
