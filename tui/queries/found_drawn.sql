-- Who drew the messages that no conversation holds.
SELECT CAST(response_id AS VARCHAR) AS id, any_value(policy) AS policy
FROM samples
WHERE response_id IN (SELECT unnest($ids::UUID[]))
GROUP BY response_id
