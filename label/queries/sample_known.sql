-- Which draws of some prompts are stored already, by the index of the draw.
SELECT
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    list(sample_index) AS indexes
FROM samples
WHERE prompt_id IN (SELECT unnest(CAST($prompt_ids AS UUID[])))
    AND policy = $policy
    AND source_id IS NULL
    AND sample_index < $n
    AND sampling = CAST($samplings AS VARCHAR[])[sample_index % len(CAST($samplings AS VARCHAR[])) + 1]
GROUP BY prompt_id
