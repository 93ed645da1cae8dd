-- The pairs of a selection, or of one of its parts.
SELECT
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(chosen_id AS VARCHAR) AS chosen_id,
    CAST(rejected_id AS VARCHAR) AS rejected_id,
    coalesce(strength, 'all') AS strength
FROM selection_pairs
WHERE selection_id = CAST($selection_id AS UUID)
    AND ($part IS NULL OR part = $part)
ORDER BY prompt_id, chosen_id, rejected_id
