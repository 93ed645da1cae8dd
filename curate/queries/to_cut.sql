-- The conversations that may be cut, in the order they were written, with the condition their class is trained
-- under. $sources, $classes, $selection (and $part of it) narrow them, NULL for all.
SELECT
    CAST(conversations.conversation_id AS BLOB) AS id,
    len(conversations.message_ids) AS n_messages,
    classes.condition AS condition
FROM current_conversations AS conversations
LEFT JOIN current_classes AS classes
    ON classes.name = conversations.class
WHERE ($sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), source))
    AND ($classes IS NULL OR list_contains(CAST($classes AS VARCHAR[]), class))
    AND (
        $selection IS NULL
        OR conversation_id IN (
            SELECT conversation_id
            FROM selection_conversations
            WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)
        )
    )
ORDER BY conversations.version, conversations.conversation_id
