-- Why draws under some prompts were not made before.
SELECT DISTINCT
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    sampling,
    state,
    reason
FROM sample_rejects
WHERE prompt_id IN (SELECT unnest(CAST($prompt_ids AS UUID[])))
    AND policy = $policy
    AND list_contains(CAST($samplings AS VARCHAR[]), sampling)
