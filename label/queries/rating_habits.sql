-- What one labeler's ratings go along with, an answer's rating being the mean over its draws and aspects: how
-- many are the commonest number, how they go with length, and those of answers that many prompts share or that
-- speak to a judge.
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
texts AS (
    SELECT
        given.value,
        ln(greatest(length(messages.content), 1)) AS log_characters,
        hash(messages.content) AS text,
        regexp_matches(messages.content, $any) AS speaks
    FROM given
    JOIN messages
        ON messages.message_id = given.response_id
),
counted AS (
    SELECT
        *,
        count(*) OVER (PARTITION BY text) AS n_prompts
    FROM texts
),
commonest AS (
    SELECT value
    FROM given
    GROUP BY value
    ORDER BY count(*) DESC, value
    LIMIT 1
)
SELECT
    count(*) AS n,
    (SELECT value FROM commonest) AS commonest,
    count(*) FILTER (WHERE value = (SELECT value FROM commonest)) AS n_commonest,
    if(min(value) < max(value) AND min(log_characters) < max(log_characters), corr(value, log_characters), NULL)
        AS length_r,
    count(*) FILTER (WHERE n_prompts >= $many) AS n_repeated,
    avg(value) FILTER (WHERE n_prompts >= $many) AS mean_repeated,
    count(*) FILTER (WHERE speaks) AS n_speaking,
    avg(value) FILTER (WHERE speaks) AS mean_speaking,
    avg(value) AS mean
FROM counted
