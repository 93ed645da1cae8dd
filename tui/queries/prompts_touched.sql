-- Prompts that got responses, draws or rewards after a version.
SELECT DISTINCT CAST(prompt_id AS BLOB) AS id
FROM (
    SELECT parent_id AS prompt_id
    FROM messages
    WHERE role = 'assistant' AND parent_id IS NOT NULL AND version > $after
    UNION ALL
    SELECT prompt_id
    FROM samples
    WHERE version > $after
    UNION ALL
    SELECT prompt_id
    FROM rewards
    WHERE version > $after
)
