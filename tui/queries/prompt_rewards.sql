-- Best and worst reward of each prompt by the model that scored most of its responses; of each response the latest.
SELECT id, max(value) AS best, min(value) AS worst
FROM (
    SELECT
        CAST(prompt_id AS VARCHAR) AS id,
        reward_model,
        response_id,
        arg_max_null(value, version * 1048576 + seq) AS value,
        arg_max_null(state, version * 1048576 + seq) AS state
    FROM rewards
    WHERE prompt_id IN (SELECT unnest($ids::UUID[]))
    GROUP BY prompt_id, reward_model, revision, response_id
)
WHERE state = 'done'
GROUP BY id, reward_model
QUALIFY row_number() OVER (PARTITION BY id ORDER BY count(*) DESC, reward_model) = 1
