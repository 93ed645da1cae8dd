SELECT CAST(prompt_id AS VARCHAR) AS prompt_id, CAST(response_id AS VARCHAR) AS response_id
FROM samples
WHERE policy = $policy
ORDER BY prompt_id, sample_index
