-- For each reward model and prompt with answers enough: their mean length, and Pearson's r of reward and length.
WITH named AS (
    SELECT
        reward_model,
        revision,
        if(
            count(*) OVER (PARTITION BY reward_model) = 1, reward_model, reward_model || '@' || revision
        ) AS labeler
    FROM (
        SELECT DISTINCT
            reward_model,
            revision
        FROM rewards
        WHERE value IS NOT NULL
    )
),
scored AS (
    SELECT
        named.labeler,
        current_rewards.prompt_id,
        CAST(current_rewards.value AS DOUBLE) AS value,
        CAST(length(messages.content) AS DOUBLE) AS characters
    FROM current_rewards
    JOIN named
        ON named.reward_model = current_rewards.reward_model
        AND named.revision = current_rewards.revision
    JOIN messages
        ON messages.message_id = current_rewards.response_id
    WHERE current_rewards.value IS NOT NULL
        AND list_contains(CAST($labelers AS VARCHAR[]), named.labeler)
)
SELECT
    labeler,
    CAST(prompt_id AS VARCHAR),
    avg(characters),
    if(max(value) > min(value) AND max(characters) > min(characters), corr(value, characters), NULL) AS r
FROM scored
GROUP BY labeler, prompt_id
HAVING count(*) >= $least
ORDER BY 1, 2
