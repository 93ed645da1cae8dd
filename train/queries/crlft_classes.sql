-- How many current conversations each class has, and what the class means.
SELECT
    conversations.class AS name,
    count(*) AS n_conversations,
    sum(len(conversations.message_ids))::BIGINT AS n_messages,
    any_value(nullif(classes.condition, '')) AS condition,
    any_value(classes.weight) AS weight
FROM current_conversations AS conversations
LEFT JOIN current_classes AS classes
    ON classes.name = conversations.class
GROUP BY conversations.class
ORDER BY conversations.class
