-- One labeler's ratings of each response: the mean over draws, then over aspects; scored only where every
-- aspect it ever rated has a rating.
WITH means AS (
    SELECT response_id, template, scale, aspect, avg(value) FILTER (WHERE state = 'done') AS value
    FROM current_ratings
    WHERE labeler = $labeler
    GROUP BY response_id, template, scale, aspect
),
aspects AS (
    SELECT count(DISTINCT (template, scale, aspect)) AS n_aspects
    FROM means
),
rated AS (
    SELECT
        messages.parent_id AS prompt_id,
        means.response_id,
        avg(means.value) AS score,
        count(means.value) AS n_rated
    FROM means
    JOIN messages
        ON messages.message_id = means.response_id
    WHERE messages.parent_id IS NOT NULL
    GROUP BY messages.parent_id, means.response_id
)
SELECT
    rated.prompt_id,
    rated.response_id,
    coalesce(rated.score, 0) AS score,
    rated.n_rated = aspects.n_aspects AS is_scored,
    false AS is_truncated
FROM rated
CROSS JOIN aspects
WHERE true /* where */
