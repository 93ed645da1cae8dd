SELECT CAST(message_id AS VARCHAR) AS id, role, content
FROM main.messages
WHERE rowid IN (SELECT unnest($places::BIGINT[]))
