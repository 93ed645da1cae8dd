-- Ratings that earlier runs gave to these very requests. A failure is asked for again.
SELECT
    CAST(request_key AS VARCHAR) AS request_key,
    arg_max(state, version * 1048576 + seq) AS state
FROM ratings
WHERE request_key IN (SELECT unnest(CAST($keys AS UUID[])))
    AND labeler = $labeler
    AND parser_version = $parser_version
    AND state <> 'failed'
GROUP BY request_key
