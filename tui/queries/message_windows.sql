-- How many messages each version wrote, oldest first.
SELECT version, CAST(json_extract(rows_by_table, '$.messages') AS BIGINT) AS n
FROM versions
WHERE version <= $newest AND json_extract(rows_by_table, '$.messages') IS NOT NULL
ORDER BY version
