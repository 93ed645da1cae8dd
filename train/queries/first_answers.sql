-- The newest first draw of a policy under each of these prompts.
SELECT
    CAST(samples.prompt_id AS VARCHAR) AS prompt_id,
    messages.content AS content
FROM samples
LEFT JOIN messages
    ON messages.message_id = samples.response_id
WHERE samples.policy = $policy
    AND samples.sample_index = 0
    AND samples.prompt_id IN (SELECT unnest(CAST($prompt_ids AS UUID[])))
QUALIFY row_number() OVER (PARTITION BY samples.prompt_id ORDER BY samples.version DESC, samples.response_id) = 1
ORDER BY samples.prompt_id
