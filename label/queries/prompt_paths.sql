-- The messages of some prompts, from the root to the prompt itself.
WITH RECURSIVE climb AS (
    SELECT
        message_id AS prompt_id,
        message_id,
        parent_id,
        depth
    FROM messages
    WHERE message_id IN (SELECT unnest(CAST($prompt_ids AS UUID[])))
    UNION ALL
    SELECT
        climb.prompt_id,
        messages.message_id,
        messages.parent_id,
        messages.depth
    FROM climb
    JOIN messages
        ON messages.message_id = climb.parent_id
)
SELECT
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(message_id AS VARCHAR) AS message_id
FROM climb
ORDER BY prompt_id, depth
