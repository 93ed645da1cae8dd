-- The path to a message that stands in no conversation, by walking up its parents.
WITH RECURSIVE climb AS (
    SELECT message_id, parent_id, depth
    FROM messages
    WHERE message_id = $id::UUID
    UNION ALL
    SELECT messages.message_id, messages.parent_id, messages.depth
    FROM climb
    JOIN messages
        ON messages.message_id = climb.parent_id
)
SELECT list(CAST(message_id AS VARCHAR) ORDER BY depth) AS path
FROM climb
