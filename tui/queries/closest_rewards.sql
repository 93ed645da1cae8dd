-- The two best responses of each prompt of one range of ids by each reward model, and the gap between their rewards.
WITH best AS (
    SELECT
        prompt_id,
        reward_model,
        revision,
        arg_max(response_id, value, 2) AS responses,
        max(value, 2) AS rewards
    FROM current_rewards
    WHERE state = 'done' AND value IS NOT NULL AND prompt_id BETWEEN $low::UUID AND $high::UUID
    GROUP BY prompt_id, reward_model, revision
    HAVING count(*) > 1
)
SELECT
    CAST(prompt_id AS BLOB) AS prompt_id,
    CAST(responses[1] AS BLOB) AS first_id,
    CAST(responses[2] AS BLOB) AS second_id,
    concat(reward_model, '@', revision) AS kind,
    CAST(rewards[1] - rewards[2] AS DOUBLE) AS gap
FROM best
