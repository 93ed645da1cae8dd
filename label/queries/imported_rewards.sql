-- What is to become of each row of `imported_rewards` (record, response, prompt, value, n_tokens, is_truncated):
-- why it cannot be taken, or NULL; and whether this very number is there already.
SELECT
    imported.record,
    CAST(messages.parent_id AS VARCHAR) AS prompt_id,
    imported.response_id,
    imported.value,
    imported.n_tokens,
    imported.is_truncated,
    CASE
        WHEN imported.why IS NOT NULL THEN imported.why
        WHEN messages.message_id IS NULL THEN 'no such response in the store'
        WHEN messages.role <> 'assistant' OR messages.parent_id IS NULL THEN 'the id is not that of a response'
        WHEN imported.prompt_id IS NOT NULL AND CAST(imported.prompt_id AS UUID) <> messages.parent_id
            THEN 'the response answers another prompt'
    END AS why,
    coalesce(rewards.value = CAST(imported.value AS FLOAT), FALSE) AS is_known
FROM imported_rewards AS imported
LEFT JOIN messages
    ON messages.message_id = CAST(imported.response_id AS UUID)
LEFT JOIN current_rewards AS rewards
    ON rewards.response_id = messages.message_id
    AND rewards.prompt_id = messages.parent_id
    AND rewards.reward_model = $reward_model
    AND rewards.revision = $revision
    AND rewards.state = 'done'
ORDER BY imported.record
