-- The stored answers written at these versions.
SELECT
    CAST(request_key AS VARCHAR) AS request_key,
    version,
    seq,
    state,
    reply,
    error,
    logprobs
FROM completions
WHERE version IN (SELECT unnest(CAST($versions AS BIGINT[])))
    AND request_key IN (SELECT unnest(CAST($keys AS UUID[])))
