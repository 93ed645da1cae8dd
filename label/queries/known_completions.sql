-- Which stored answers there are to these requests, the first finished one of each; without their texts.
SELECT
    CAST(request_key AS VARCHAR) AS request_key,
    arg_min(version, version * 1048576 + seq) AS version,
    arg_min(seq, version * 1048576 + seq) AS seq
FROM completions
WHERE request_key IN (SELECT unnest(CAST($keys AS UUID[])))
    AND state <> 'failed'
GROUP BY request_key
