-- Where messages stand in their table: the texts of few rows are then read without unpacking those of all others.
SELECT CAST(message_id AS VARCHAR) AS id, rowid AS place
FROM main.messages
WHERE message_id IN (SELECT unnest($ids::UUID[])) AND version BETWEEN $first AND $last
