-- Prompts of one range of ids with two answers or more, siblings in the tree or draws of a policy, and two of the
-- answers: those drawn for the annotator, and those drawn for everybody.
SELECT
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(arg_min(response_id, md5_number(concat_ws(' ', $annotator, prompt_id, response_id)), 2) AS VARCHAR[]) AS own,
    CAST(arg_min(response_id, md5_number(concat_ws(' ', 'everybody', prompt_id, response_id)), 2) AS VARCHAR[]) AS shared
FROM (
    SELECT parent_id AS prompt_id, message_id AS response_id
    FROM messages
    WHERE role = 'assistant' AND parent_id BETWEEN $low::UUID AND $high::UUID AND parent_id IN (
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
)
GROUP BY prompt_id
HAVING count(*) > 1
