-- Prompts with two responses or more, or with draws of a policy: those of one range of ids, or those of the table
-- touched_prompts; with the place of their text, and the best and the worst reward by the model that scored most.
WITH answers AS MATERIALIZED (
    SELECT parent_id AS prompt_id, count(*)::INTEGER AS responses, bit_xor(hash(message_id)) AS which
    FROM messages
    WHERE role = 'assistant' AND parent_id BETWEEN $low::UUID AND $high::UUID
        AND ($is_range OR parent_id IN (SELECT CAST(id AS UUID) FROM touched_prompts))
    GROUP BY parent_id
),
drawn AS (
    SELECT prompt_id, count(*)::INTEGER AS draws
    FROM samples
    WHERE prompt_id BETWEEN $low::UUID AND $high::UUID
        AND ($is_range OR prompt_id IN (SELECT CAST(id AS UUID) FROM touched_prompts))
    GROUP BY prompt_id
),
wanted AS (
    SELECT answers.prompt_id, answers.responses, coalesce(drawn.draws, 0) AS draws
    FROM answers
    LEFT JOIN drawn
        ON drawn.prompt_id = answers.prompt_id
    WHERE answers.responses > 1 OR drawn.draws > 0
),
scored AS MATERIALIZED (
    SELECT
        prompt_id,
        reward_model,
        count(*) AS n,
        bit_xor(hash(response_id)) AS which,
        bool_and(state = 'done') AS is_done,
        min(value) AS worst,
        max(value) AS best
    FROM rewards
    WHERE prompt_id BETWEEN $low::UUID AND $high::UUID
        AND ($is_range OR prompt_id IN (SELECT CAST(id AS UUID) FROM touched_prompts))
    GROUP BY prompt_id, reward_model, revision
),
-- Prompts where some model scored not exactly every response once.
uneven AS MATERIALIZED (
    SELECT DISTINCT scored.prompt_id
    FROM scored
    LEFT JOIN answers
        ON answers.prompt_id = scored.prompt_id
    WHERE NOT coalesce(scored.is_done AND scored.n = answers.responses AND scored.which = answers.which, FALSE)
),
-- There the latest number of a response by one model counts.
replaced AS (
    SELECT prompt_id, reward_model, count(*) AS n, min(value) AS worst, max(value) AS best
    FROM (
        SELECT
            prompt_id,
            reward_model,
            arg_max_null(value, version * 1048576 + seq) AS value,
            arg_max_null(state, version * 1048576 + seq) AS state
        FROM rewards
        WHERE prompt_id BETWEEN $low::UUID AND $high::UUID
            AND prompt_id IN (SELECT prompt_id FROM uneven)
        GROUP BY prompt_id, reward_model, revision, response_id
    )
    WHERE state = 'done'
    GROUP BY prompt_id, reward_model
),
models AS (
    SELECT prompt_id, reward_model, sum(n) AS n, min(worst) AS worst, max(best) AS best
    FROM scored
    WHERE prompt_id NOT IN (SELECT prompt_id FROM uneven)
    GROUP BY prompt_id, reward_model
    UNION ALL
    SELECT *
    FROM replaced
),
most AS (
    SELECT prompt_id, worst, best
    FROM models
    QUALIFY row_number() OVER (PARTITION BY prompt_id ORDER BY n DESC, reward_model) = 1
)
SELECT
    CAST(wanted.prompt_id AS BLOB) AS id,
    wanted.responses,
    wanted.draws,
    most.best,
    most.best - most.worst AS spread,
    texts.place
FROM wanted
LEFT JOIN most
    ON most.prompt_id = wanted.prompt_id
LEFT JOIN (
    SELECT message_id, rowid AS place
    FROM main.messages
    WHERE message_id BETWEEN $low::UUID AND $high::UUID
) AS texts
    ON texts.message_id = wanted.prompt_id
