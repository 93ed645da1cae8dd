-- How many current conversations each class has, what the class means, and how many of them the caller left
-- out and why. $sources: only these, $selection: only its members (of $part), NULL for all.
SELECT
    conversations.class AS name,
    conversations.left_out AS left_out,
    count(*) AS n_conversations,
    sum(len(conversations.message_ids))::BIGINT AS n_messages,
    any_value(nullif(classes.condition, '')) AS condition,
    any_value(classes.weight) AS weight,
    any_value(classes.reward) AS reward
FROM (
    SELECT
        class,
        message_ids,
        CASE
            WHEN $sources IS NOT NULL AND NOT list_contains(CAST($sources AS VARCHAR[]), source)
                THEN 'source not chosen'
            WHEN $selection IS NOT NULL AND conversation_id NOT IN (
                SELECT conversation_id
                FROM selection_conversations
                WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)
            )
                THEN 'not in the selection'
        END AS left_out
    FROM current_conversations
) AS conversations
LEFT JOIN current_classes AS classes
    ON classes.name = conversations.class
GROUP BY conversations.class, conversations.left_out
ORDER BY conversations.class, conversations.left_out NULLS FIRST
