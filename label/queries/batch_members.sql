-- Which of these requests are in a batch, what they can cost, and whether it is known what became of them.
SELECT
    CAST(members.request_key AS VARCHAR) AS request_key,
    members.n_bytes,
    members.max_tokens,
    outcomes.request_key IS NOT NULL AS has_outcome
FROM batch_requests AS members
LEFT JOIN batch_outcomes AS outcomes
    ON members.batch_id = outcomes.batch_id
    AND members.request_key = outcomes.request_key
WHERE members.batch_id = $batch
    AND members.request_key IN (SELECT unnest(CAST($keys AS UUID[])))
ORDER BY members.request_key
