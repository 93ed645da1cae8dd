-- One labeler's ratings of each response: the mean over draws and templates, then over aspects; scored only
-- where every aspect it ever rated has a rating. $scale, $template, $aspects, $sources: only these, NULL for all.
WITH means AS (
    SELECT
        response_id,
        aspect,
        avg(value ORDER BY template, scale, draw_index) FILTER (WHERE state = 'done') AS value
    FROM current_ratings
    WHERE labeler = $labeler
        AND ($scale IS NULL OR scale = $scale)
        AND ($template IS NULL OR template = $template)
        AND ($aspects IS NULL OR list_contains(CAST($aspects AS VARCHAR[]), aspect))
        AND (
            $sources IS NULL
            OR source_id IN (
                SELECT source_id FROM current_sources WHERE list_contains(CAST($sources AS VARCHAR[]), name)
            )
        )
    GROUP BY response_id, aspect
),
aspects AS (
    SELECT count(DISTINCT aspect) AS n_aspects
    FROM means
),
rated AS (
    SELECT
        messages.parent_id AS prompt_id,
        means.response_id,
        avg(means.value ORDER BY means.aspect) AS score,
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
