SELECT
    CAST(response_id AS VARCHAR) AS response_id,
    if(count(DISTINCT revision) OVER (PARTITION BY reward_model) > 1, concat(reward_model, '@', revision), reward_model)
        AS model,
    value,
    coalesce(is_truncated, FALSE) AS is_truncated
FROM current_rewards
WHERE prompt_id = $id::UUID AND state = 'done' AND value IS NOT NULL
ORDER BY response_id, model
