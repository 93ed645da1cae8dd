-- Where messages are: reading their texts version by version skips most of the table.
SELECT version, list(CAST(message_id AS VARCHAR)) AS ids
FROM messages
WHERE message_id IN (SELECT unnest($ids::UUID[])) AND version BETWEEN $first AND $last
GROUP BY version
