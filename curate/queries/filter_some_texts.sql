-- Of versions that hold other messages, too, only those of the conversations in question.
SELECT rowid AS row, role, content
FROM main.messages
WHERE version IN (SELECT unnest($versions::BIGINT[]))
    AND message_id IN (
        SELECT unnest(message_ids)
        FROM conversations
        WHERE version > $after AND version <= $upto AND conversation_id NOT IN (
            SELECT derived_from
            FROM conversations
            WHERE derived_from IS NOT NULL
        )
    )
