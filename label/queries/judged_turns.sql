-- The assistant turns to be judged, each once, with the first conversation it belongs to; turns of one
-- conversation in order. $per: 'all', 'class' or 'source'; $sample: conversations of each, NULL for all.
WITH ranked AS (
    SELECT
        conversation_id,
        message_ids,
        row_number() OVER (
            PARTITION BY CASE $per WHEN 'class' THEN class WHEN 'source' THEN source ELSE '' END
            ORDER BY md5(CAST(conversation_id AS VARCHAR) || '/' || $seed)
        ) AS draw
    FROM current_conversations
),
paths AS (
    SELECT
        conversation_id,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM ranked
    WHERE $sample IS NULL OR draw <= $sample
)
SELECT
    CAST(min(paths.conversation_id) AS VARCHAR) AS conversation_id,
    CAST(any_value(paths.position) AS INTEGER) AS position
FROM paths
JOIN messages
    ON messages.message_id = paths.message_id
WHERE messages.role = 'assistant'
GROUP BY paths.message_id
ORDER BY 1, 2
LIMIT $limit
