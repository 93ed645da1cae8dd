-- For each prompt with three answers or more that one reward model scored: their mean length in characters, and
-- Pearson's r of reward and length, NULL where one of the two does not vary.
SELECT
    CAST(rewards.prompt_id AS VARCHAR) AS prompt_id,
    avg(length(messages.content)) AS mean_characters,
    CASE
        WHEN stddev_pop(rewards.value) > 0 AND stddev_pop(length(messages.content)) > 0
            THEN corr(CAST(rewards.value AS DOUBLE), length(messages.content))
    END AS r
FROM current_rewards AS rewards
JOIN messages
    ON messages.message_id = rewards.response_id
WHERE rewards.reward_model = $reward_model
    AND rewards.revision = $revision
    AND rewards.state = 'done'
GROUP BY rewards.prompt_id
HAVING count(*) >= 3
ORDER BY prompt_id
