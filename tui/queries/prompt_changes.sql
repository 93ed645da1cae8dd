-- The same for prompts that got responses or draws after a version.
WITH touched AS (
    SELECT parent_id AS prompt_id
    FROM messages
    WHERE role = 'assistant' AND parent_id IS NOT NULL AND version > $after
    UNION
    SELECT prompt_id
    FROM samples
    WHERE version > $after
)
SELECT CAST(answers.prompt_id AS BLOB) AS id, answers.responses, coalesce(drawn.draws, 0)::INTEGER AS draws
FROM (
    SELECT parent_id AS prompt_id, count(*)::INTEGER AS responses
    FROM messages
    WHERE role = 'assistant' AND parent_id IN (SELECT prompt_id FROM touched)
    GROUP BY parent_id
) AS answers
LEFT JOIN (
    SELECT prompt_id, count(*) AS draws
    FROM samples
    WHERE prompt_id IN (SELECT prompt_id FROM touched)
    GROUP BY prompt_id
) AS drawn
    ON drawn.prompt_id = answers.prompt_id
WHERE answers.responses > 1 OR drawn.draws > 0
