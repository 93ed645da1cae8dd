-- So many conversations of each class, drawn by $seed, with their texts and the condition of their class.
-- $classes, $sources: only these, $selection: only its members (of $part); NULL for all, then without unknown classes.
WITH chosen AS (
    SELECT
        conversation_id,
        class,
        message_ids
    FROM current_conversations
    WHERE if($classes IS NULL, class <> $unknown, list_contains(CAST($classes AS VARCHAR[]), class))
        AND ($sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), source))
        AND (
            $selection IS NULL
            OR conversation_id IN (
                SELECT conversation_id
                FROM selection_conversations
                WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)
            )
        )
    QUALIFY row_number() OVER (
        PARTITION BY class
        ORDER BY md5(CAST($seed AS VARCHAR) || '/' || CAST(conversation_id AS VARCHAR))
    ) <= $per_class
),
turns AS (
    SELECT
        conversation_id,
        class,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM chosen
)
SELECT
    CAST(turns.conversation_id AS VARCHAR) AS conversation_id,
    turns.class AS class,
    any_value(nullif(classes.condition, '')) AS condition,
    list(messages.role ORDER BY turns.position) AS roles,
    list(messages.content ORDER BY turns.position) AS contents
FROM turns
JOIN messages
    ON messages.message_id = turns.message_id
LEFT JOIN current_classes AS classes
    ON classes.name = turns.class
GROUP BY turns.conversation_id, turns.class
ORDER BY turns.conversation_id
