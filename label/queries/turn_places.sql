-- Which messages some conversations are made of, in order, and the version that wrote each; without their texts.
SELECT DISTINCT
    CAST(paths.conversation_id AS VARCHAR) AS conversation_id,
    paths.position,
    CAST(paths.message_id AS VARCHAR) AS message_id,
    messages.version
FROM (
    SELECT
        conversation_id,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM conversations
    WHERE conversation_id IN (SELECT unnest(CAST($conversation_ids AS UUID[])))
) AS paths
JOIN messages
    ON messages.message_id = paths.message_id
ORDER BY 1, 2
