-- Rewards of answers that were also compared or rated, with the prompt and who wrote the answer; a reward model
-- with several revisions is one labeler for each.
WITH judged AS (
    SELECT response_a_id AS response_id
    FROM current_comparisons
    UNION
    SELECT response_b_id
    FROM current_comparisons
    UNION
    SELECT response_id
    FROM current_ratings
    WHERE state = 'done'
),
drawn AS (
    SELECT
        response_id,
        string_agg(DISTINCT policy, ' = ' ORDER BY policy) AS author
    FROM samples
    WHERE response_id IN (SELECT response_id FROM judged)
    GROUP BY response_id
),
written AS (
    SELECT
        turns.response_id,
        string_agg(DISTINCT turns.model, ' = ' ORDER BY turns.model) AS author
    FROM (
        SELECT
            model,
            unnest(message_ids) AS response_id
        FROM conversations
        WHERE model <> ''
    ) AS turns
    WHERE turns.response_id IN (SELECT response_id FROM judged)
    GROUP BY turns.response_id
),
revisions AS (
    SELECT
        reward_model,
        count(DISTINCT revision) AS count
    FROM rewards
    GROUP BY reward_model
)
SELECT
    CAST(current_rewards.response_id AS VARCHAR),
    CAST(current_rewards.prompt_id AS VARCHAR),
    coalesce(drawn.author, written.author, 'unknown'),
    if(revisions.count = 1, reward_model, reward_model || '@' || revision) AS labeler,
    'reward_model' AS labeler_kind,
    'reward' AS scale,
    '' AS aspect,
    0 AS draw_index,
    CAST(current_rewards.value AS DOUBLE)
FROM current_rewards
JOIN revisions USING (reward_model)
LEFT JOIN drawn
    ON drawn.response_id = current_rewards.response_id
LEFT JOIN written
    ON written.response_id = current_rewards.response_id
WHERE current_rewards.response_id IN (SELECT response_id FROM judged)
    AND current_rewards.value IS NOT NULL
ORDER BY 1, labeler
