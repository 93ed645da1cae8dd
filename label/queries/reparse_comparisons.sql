-- A part of the judges' comparisons in force, with the answers they were read from: the first one, and the
-- one that repaired it. $labeler: only this one's, NULL for all. The parts are $buckets by the hash of the key.
WITH repairs AS (
    SELECT
        repairs,
        min(request_key) AS request_key
    FROM requests
    WHERE repairs IS NOT NULL
    GROUP BY repairs
)
SELECT
    comparisons.* EXCLUDE (version, seq),
    first.state AS first_state,
    first.reply AS first_reply,
    first.error AS first_error,
    first.logprobs AS first_logprobs,
    repair.state AS repair_state,
    repair.reply AS repair_reply,
    repair.error AS repair_error,
    repair.logprobs AS repair_logprobs
FROM current_comparisons AS comparisons
JOIN current_completions AS first
    ON first.request_key = comparisons.request_key
LEFT JOIN repairs
    ON repairs.repairs = comparisons.request_key
LEFT JOIN current_completions AS repair
    ON repair.request_key = repairs.request_key
WHERE comparisons.labeler_kind = 'judge'
    AND ($labeler IS NULL OR comparisons.labeler = $labeler)
    AND hash(comparisons.request_key) % $buckets = $bucket
