-- Prompts of one range of ids with two answers or more, siblings in the tree or draws of a policy.
SELECT answers.prompt_id, list(DISTINCT CAST(answers.response_id AS VARCHAR)) AS response_ids
FROM (
    SELECT parent_id AS prompt_id, message_id AS response_id
    FROM messages
    WHERE role = 'assistant' AND parent_id IN (
        SELECT parent_id
        FROM messages
        WHERE role = 'assistant' AND parent_id BETWEEN $low::UUID AND $high::UUID
        GROUP BY parent_id
        HAVING count(*) > 1
        UNION
        SELECT prompt_id
        FROM samples
        WHERE prompt_id BETWEEN $low::UUID AND $high::UUID
    )
    UNION
    SELECT prompt_id, response_id
    FROM samples
    WHERE prompt_id BETWEEN $low::UUID AND $high::UUID
) AS answers
GROUP BY answers.prompt_id
HAVING count(*) > 1
