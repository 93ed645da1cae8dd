-- How many different canaries each labeler met, and how many it passed, the last time of each counting.
SELECT
    labeler,
    count(*) AS asked,
    count(*) FILTER (WHERE is_passed) AS passed
FROM (
    SELECT
        labeler,
        request_key,
        arg_max(is_passed, version * 1048576 + seq) AS is_passed
    FROM canaries
    GROUP BY labeler, request_key
)
GROUP BY labeler
