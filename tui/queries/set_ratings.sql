-- The mean rating of each response by each labeler; of each draw the latest.
SELECT CAST(response_id AS VARCHAR) AS response_id, labeler, avg(value) AS value
FROM (
    SELECT
        response_id,
        labeler,
        arg_max_null(value, version * 1048576 + seq) AS value,
        arg_max_null(state, version * 1048576 + seq) AS state
    FROM ratings
    WHERE response_id IN (SELECT unnest($ids::UUID[]))
    GROUP BY response_id, labeler, template, scale, aspect, draw_index
)
WHERE state = 'done' AND value IS NOT NULL
GROUP BY response_id, labeler
ORDER BY response_id, labeler
