-- A part of the judges' ratings in force, with the answers they were read from: the first one, and the one
-- that repaired it. $labeler: only this one's, NULL for all. The parts are $buckets by the hash of the key.
WITH repairs AS (
    SELECT
        repairs,
        min(request_key) AS request_key
    FROM requests
    WHERE repairs IS NOT NULL
    GROUP BY repairs
)
SELECT
    CAST(ratings.response_id AS VARCHAR) AS response_id,
    ratings.labeler,
    ratings.labeler_kind,
    ratings.template,
    ratings.scale,
    ratings.aspect,
    ratings.draw_index,
    ratings.value,
    ratings.explanation,
    ratings.state,
    CAST(ratings.request_key AS VARCHAR) AS request_key,
    ratings.parser_version,
    first.state AS first_state,
    first.reply AS first_reply,
    first.error AS first_error,
    repair.state AS repair_state,
    repair.reply AS repair_reply,
    repair.error AS repair_error
FROM current_ratings AS ratings
JOIN current_completions AS first
    ON first.request_key = ratings.request_key
LEFT JOIN repairs
    ON repairs.repairs = ratings.request_key
LEFT JOIN current_completions AS repair
    ON repair.request_key = repairs.request_key
WHERE ratings.labeler_kind = 'judge'
    AND ($labeler IS NULL OR ratings.labeler = $labeler)
    AND hash(ratings.request_key) % $buckets = $bucket
