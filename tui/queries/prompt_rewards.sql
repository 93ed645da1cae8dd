-- Best and worst reward of each prompt by the model that scored most of its responses.
SELECT CAST(prompt_id AS VARCHAR) AS id, max(value) AS best, min(value) AS worst
FROM (
    SELECT prompt_id, reward_model, revision, response_id, value, count(*) OVER (PARTITION BY prompt_id, reward_model) AS n
    FROM current_rewards
    WHERE prompt_id IN (SELECT unnest($ids::UUID[])) AND state = 'done'
)
GROUP BY prompt_id, reward_model
QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY max(n) DESC, reward_model) = 1
