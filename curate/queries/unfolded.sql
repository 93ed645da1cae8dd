-- The user's turns among the first $turns of each conversation, each prompt once. $is_answered: only those that
-- an answer follows; $selection narrows the conversations, and its parts go with their prompts.
WITH chosen AS (
    SELECT
        conversations.conversation_id,
        conversations.message_ids,
        members.part
    FROM current_conversations AS conversations
    LEFT JOIN (
        SELECT conversation_id, part
        FROM selection_conversations
        WHERE selection_id = CAST($selection AS UUID)
    ) AS members
        ON members.conversation_id = conversations.conversation_id
    WHERE ($selection IS NULL OR members.conversation_id IS NOT NULL)
        AND ($part IS NULL OR members.part = $part)
        AND ($sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), conversations.source))
        AND ($classes IS NULL OR list_contains(CAST($classes AS VARCHAR[]), conversations.class))
),
turns AS (
    SELECT
        conversation_id,
        part,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM chosen
),
spoken AS (
    SELECT
        turns.*,
        messages.role,
        CAST(sum(if(messages.role = 'user', 1, 0)) OVER conversation AS BIGINT) AS turn,
        lead(messages.role) OVER conversation AS next_role
    FROM turns
    JOIN messages
        ON messages.message_id = turns.message_id
    WINDOW conversation AS (PARTITION BY turns.conversation_id ORDER BY turns.position)
)
SELECT
    CAST(message_id AS VARCHAR) AS prompt_id,
    min(part) AS part,
    bool_or(turn <= $turns) AS is_early,
    bool_or(next_role = 'assistant') AS is_answered
FROM spoken
WHERE role = 'user'
GROUP BY message_id
ORDER BY message_id
