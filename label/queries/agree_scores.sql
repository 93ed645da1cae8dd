-- Every rating in force, with the prompt of what was rated and who wrote it. $labelers: by these, NULL for all.
WITH rated AS (
    SELECT DISTINCT response_id
    FROM current_ratings
    WHERE state = 'done' AND ($labelers IS NULL OR list_contains(CAST($labelers AS VARCHAR[]), labeler))
),
drawn AS (
    SELECT
        response_id,
        string_agg(DISTINCT policy, ' = ' ORDER BY policy) AS author
    FROM samples
    WHERE response_id IN (SELECT response_id FROM rated)
    GROUP BY response_id
),
written AS (
    SELECT
        turns.response_id,
        string_agg(DISTINCT turns.model, ' = ' ORDER BY turns.model) AS author
    FROM (
        SELECT
            model,
            unnest(message_ids) AS response_id
        FROM conversations
        WHERE model <> ''
    ) AS turns
    WHERE turns.response_id IN (SELECT response_id FROM rated)
    GROUP BY turns.response_id
)
SELECT
    CAST(ratings.response_id AS VARCHAR),
    CAST(coalesce(messages.parent_id, messages.message_id) AS VARCHAR),
    coalesce(drawn.author, written.author, 'unknown'),
    ratings.labeler,
    ratings.labeler_kind,
    ratings.scale,
    ratings.aspect,
    ratings.draw_index,
    ratings.value
FROM current_ratings AS ratings
JOIN messages
    ON messages.message_id = ratings.response_id
LEFT JOIN drawn
    ON drawn.response_id = ratings.response_id
LEFT JOIN written
    ON written.response_id = ratings.response_id
WHERE ratings.state = 'done'
    AND ratings.value IS NOT NULL
    AND ($labelers IS NULL OR list_contains(CAST($labelers AS VARCHAR[]), ratings.labeler))
ORDER BY 1, ratings.labeler, ratings.scale, ratings.aspect, ratings.draw_index
