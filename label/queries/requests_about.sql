-- The requests that labels of this answer were read from, or that have this key; the newest first.
WITH wanted AS (
    SELECT request_key
    FROM ratings
    WHERE response_id = CAST($id AS UUID)
    UNION
    SELECT request_key
    FROM comparisons
    WHERE response_a_id = CAST($id AS UUID) OR response_b_id = CAST($id AS UUID)
    UNION
    SELECT CAST($id AS UUID)
)
SELECT
    CAST(request_key AS VARCHAR) AS request_key,
    min(created_at) AS first_at
FROM requests
WHERE request_key IN (SELECT request_key FROM wanted WHERE request_key IS NOT NULL)
GROUP BY request_key
ORDER BY first_at DESC, request_key
