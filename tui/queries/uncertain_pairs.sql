-- The pairs with the smallest gaps first: the two best responses of each prompt by each reward model, and the
-- verdicts of models; gaps of different kinds are compared by their place among their kind.
WITH best AS (
    SELECT
        prompt_id,
        reward_model,
        revision,
        arg_max(response_id, value, 2) AS responses,
        max(value, 2) AS rewards
    FROM current_rewards
    WHERE state = 'done' AND value IS NOT NULL
    GROUP BY prompt_id, reward_model, revision
    HAVING count(*) > 1
),
gaps AS (
    SELECT
        prompt_id,
        responses[1] AS first_id,
        responses[2] AS second_id,
        concat(reward_model, '@', revision) AS kind,
        rewards[1] - rewards[2] AS gap
    FROM best
    UNION ALL
    SELECT prompt_id, response_a_id, response_b_id, concat(labeler, template, scale), abs(signed_margin)
    FROM merged_comparisons
    WHERE labeler_kind <> 'person' AND signed_margin IS NOT NULL
        AND response_a_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
        AND response_b_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
)
SELECT CAST(prompt_id AS VARCHAR), CAST(first_id AS VARCHAR), CAST(second_id AS VARCHAR)
FROM (SELECT *, percent_rank() OVER (PARTITION BY kind ORDER BY gap) AS place FROM gaps)
ORDER BY place, gap, prompt_id, first_id, second_id
