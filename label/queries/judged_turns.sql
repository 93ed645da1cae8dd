-- The assistant turns to be judged, each once, with the first conversation it belongs to; turns of one
-- conversation in order. $per: 'all', 'class' or 'source'; $sample: conversations of each, NULL for all.
-- Which turns they are depends on ids only; conversations that were written together come together, so that
-- their texts are read together.
WITH ranked AS (
    SELECT
        conversation_id,
        message_ids,
        version,
        row_number() OVER (
            PARTITION BY CASE $per WHEN 'class' THEN class WHEN 'source' THEN source ELSE '' END
            ORDER BY md5(CAST(conversation_id AS VARCHAR) || '/' || $seed)
        ) AS draw
    FROM current_conversations
),
paths AS (
    SELECT
        conversation_id,
        version,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM ranked
    WHERE $sample IS NULL OR draw <= $sample
),
turns AS (
    SELECT
        CAST(min(paths.conversation_id) AS VARCHAR) AS conversation_id,
        arg_min(paths.version, paths.conversation_id) AS version,
        CAST(any_value(paths.position) AS INTEGER) AS position
    FROM paths
    JOIN messages
        ON messages.message_id = paths.message_id
    WHERE messages.role = 'assistant'
    GROUP BY paths.message_id
    ORDER BY 1, 3
    LIMIT $limit
)
SELECT conversation_id, position
FROM turns
ORDER BY version, conversation_id, position
