-- The mean of several reward models' numbers, each less its mean and over its deviation across the responses
-- asked for; scored only where every one of them gave a number.
WITH asked AS (
    SELECT unnest(CAST($names AS VARCHAR[])) AS reward_model, unnest(CAST($revisions AS VARCHAR[])) AS revision
),
chosen AS (
    SELECT
        rewards.prompt_id,
        rewards.response_id,
        rewards.reward_model,
        rewards.revision,
        CAST(rewards.value AS DOUBLE) AS value,
        rewards.is_truncated
    FROM current_rewards AS rewards
    SEMI JOIN asked
        ON rewards.reward_model = asked.reward_model AND rewards.revision = asked.revision
    WHERE rewards.state = 'done' AND isfinite(rewards.value) /* where */
),
shared AS (
    SELECT *
    FROM chosen
    SEMI JOIN (
        SELECT prompt_id, response_id
        FROM chosen
        GROUP BY prompt_id, response_id
        HAVING count(*) = $n_models
    ) AS complete
        ON chosen.prompt_id = complete.prompt_id AND chosen.response_id = complete.response_id
),
spreads AS (
    SELECT reward_model, revision, avg(value) AS mean, nullif(stddev_pop(value), 0) AS deviation
    FROM shared
    GROUP BY reward_model, revision
)
SELECT
    chosen.prompt_id,
    chosen.response_id,
    avg(coalesce((chosen.value - spreads.mean) / spreads.deviation, 0)) AS score,
    count(*) = $n_models AS is_scored,
    coalesce(bool_or(chosen.is_truncated), false) AS is_truncated
FROM chosen
JOIN spreads
    ON chosen.reward_model = spreads.reward_model AND chosen.revision = spreads.revision
GROUP BY chosen.prompt_id, chosen.response_id
