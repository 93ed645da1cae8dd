-- Prompts of one range of ids with two responses or more, or with draws of a policy.
SELECT CAST(answers.prompt_id AS BLOB) AS id, answers.responses, coalesce(drawn.draws, 0)::INTEGER AS draws
FROM (
    SELECT parent_id AS prompt_id, count(*)::INTEGER AS responses
    FROM messages
    WHERE role = 'assistant' AND parent_id BETWEEN $low::UUID AND $high::UUID
    GROUP BY parent_id
) AS answers
LEFT JOIN (
    SELECT prompt_id, count(*) AS draws
    FROM samples
    WHERE prompt_id BETWEEN $low::UUID AND $high::UUID
    GROUP BY prompt_id
) AS drawn
    ON drawn.prompt_id = answers.prompt_id
WHERE answers.responses > 1 OR drawn.draws > 0
