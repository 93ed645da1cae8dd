-- The mean rating one labeler gave to each author's answers, and how many they are: policies that drew them,
-- models of the conversations they stand in.
WITH given AS (
    SELECT
        response_id,
        avg(value) AS value
    FROM current_ratings
    WHERE labeler = $labeler
        AND state = 'done'
        AND list_contains(CAST($templates AS VARCHAR[]), template)
    GROUP BY response_id
),
authors AS (
    SELECT
        response_id,
        policy AS author
    FROM samples
    WHERE response_id IN (SELECT response_id FROM given)
    UNION
    SELECT
        turns.response_id,
        turns.model
    FROM (
        SELECT
            model,
            unnest(message_ids) AS response_id
        FROM conversations
        WHERE model <> ''
    ) AS turns
    WHERE turns.response_id IN (SELECT response_id FROM given)
)
SELECT
    authors.author,
    count(*) AS n,
    avg(given.value) AS mean
FROM authors
JOIN given
    ON given.response_id = authors.response_id
GROUP BY authors.author
ORDER BY authors.author
