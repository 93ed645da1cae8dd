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
-- Sums of whole numbers, so that they do not depend on the order in which threads add.
sums AS (
    SELECT
        reward_model,
        revision,
        count(*) AS n,
        sum(CAST(round(value * 1048576) AS HUGEINT)) / 1048576 AS total,
        sum(CAST(round(value * 1048576) AS HUGEINT) * CAST(round(value * 1048576) AS HUGEINT))
            / 1048576 / 1048576 AS squares
    FROM shared
    GROUP BY reward_model, revision
),
spreads AS (
    SELECT
        reward_model,
        revision,
        total / n AS mean,
        sqrt(greatest(squares / n - (total / n) * (total / n), 0)) AS deviation
    FROM sums
),
normalised AS (
    SELECT
        chosen.*,
        if(spreads.deviation > 0, (chosen.value - spreads.mean) / spreads.deviation, 0) AS z
    FROM chosen
    JOIN spreads
        ON chosen.reward_model = spreads.reward_model AND chosen.revision = spreads.revision
)
SELECT
    prompt_id,
    response_id,
    sum(CAST(round(z * 1099511627776) AS HUGEINT)) / 1099511627776 / $n_models AS score,
    count(*) = $n_models AS is_scored,
    coalesce(bool_or(is_truncated), false) AS is_truncated
FROM normalised
GROUP BY prompt_id, response_id
