SELECT CAST(response_id AS VARCHAR) AS response_id, labeler, avg(value) AS value
FROM current_ratings
WHERE response_id IN (SELECT unnest($ids::UUID[])) AND state = 'done' AND value IS NOT NULL
GROUP BY response_id, labeler
ORDER BY response_id, labeler
