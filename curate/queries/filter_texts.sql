SELECT rowid AS row, role, content
FROM main.messages
WHERE version IN (SELECT unnest($versions::BIGINT[]))
