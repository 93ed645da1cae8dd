SELECT message_id, parent_id, role, content, depth
FROM cleaned_messages
WHERE message_id NOT IN (
    SELECT messages.message_id
    FROM messages
    JOIN cleaned_messages
        ON cleaned_messages.message_id = messages.message_id
)
