-- What the newest run of the sweep $name that got anywhere came to, as JSON.
SELECT counts
FROM runs
WHERE command = 'train sweep'
    AND settings ->> '$.name' = $name
    AND counts IS NOT NULL
ORDER BY version DESC, seq DESC
LIMIT 1
