-- The weights that earlier runs drew from under a policy's name, where they are known.
SELECT DISTINCT settings ->> '$.weights' AS weights
FROM current_runs
WHERE command = 'label sample'
    AND settings ->> '$.policy' = $policy
    AND settings ->> '$.weights' IS NOT NULL
    AND run_id IN (SELECT run_id FROM samples WHERE policy = $policy)
