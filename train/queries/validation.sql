-- What a policy's draws are worth: first the mean under each prompt, then over prompts.
-- The spread is that of the prompts' means.
SELECT
    count(*) AS prompts,
    sum(draws)::BIGINT AS draws,
    avg(reward) AS reward,
    stddev_samp(reward) AS spread,
    avg(characters) AS characters
FROM (
    SELECT
        samples.prompt_id,
        count(*) AS draws,
        avg(rewards.value) AS reward,
        avg(length(messages.content)) AS characters
    FROM samples
    JOIN messages
        ON messages.message_id = samples.response_id
    JOIN current_rewards AS rewards
        ON rewards.prompt_id = samples.prompt_id
        AND rewards.response_id = samples.response_id
    WHERE samples.policy = $policy
        AND rewards.reward_model = $reward_model
        AND rewards.revision = $revision
        AND rewards.state = 'done'
    GROUP BY samples.prompt_id
)
