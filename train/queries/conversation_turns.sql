-- The turns of the chosen conversations of one range of ids, in order: ids first, texts after. $labeler: whose latest
-- ratings go with them, on $scale: the mean over draws and templates, then over aspects, and none where one of the
-- labeler's aspects is missing; NULL for no ratings.
WITH chosen AS (
    SELECT conversation_id, class, source, message_ids
    FROM current_conversations
    WHERE list_contains($classes, class)
        AND ($sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), source))
        AND (
            $selection IS NULL
            OR conversation_id IN (
                SELECT conversation_id
                FROM selection_conversations
                WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)
            )
        )
        AND conversation_id >= CAST($low AS UUID)
        AND conversation_id <= CAST($high AS UUID)
),
turns AS (
    SELECT
        conversation_id,
        class,
        source,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM chosen
),
aspects AS (
    SELECT
        response_id,
        aspect,
        avg(value ORDER BY template, draw_index) FILTER (WHERE state = 'done') AS value
    FROM current_ratings
    WHERE labeler = CAST($labeler AS VARCHAR)
        AND scale = CAST($scale AS VARCHAR)
    GROUP BY response_id, aspect
),
rated AS (
    SELECT
        response_id,
        avg(value ORDER BY aspect) AS rating
    FROM aspects
    GROUP BY response_id
    HAVING count(value) = (SELECT count(DISTINCT aspect) FROM aspects)
)
SELECT
    CAST(turns.conversation_id AS VARCHAR) AS conversation_id,
    turns.class AS class,
    turns.source AS source,
    CAST(turns.message_id AS VARCHAR) AS message_id,
    messages.role AS role,
    messages.content AS content,
    rated.rating AS rating
FROM turns
LEFT JOIN messages
    ON messages.message_id = turns.message_id
LEFT JOIN rated
    ON rated.response_id = turns.message_id
ORDER BY turns.conversation_id, turns.position
