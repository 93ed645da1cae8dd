-- Where the messages of a piece are: reading their texts version by version skips most of the table.
SELECT DISTINCT version
FROM messages
WHERE message_id IN (SELECT CAST(id AS UUID) FROM piece_messages)
