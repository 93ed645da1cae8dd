-- Which of these requests are in a batch that a provider may be working on.
SELECT DISTINCT CAST(request_key AS VARCHAR) AS request_key
FROM open_batch_requests
WHERE request_key IN (SELECT unnest(CAST($keys AS UUID[])))
