-- How many prompts are both trained and validated on. $parts and $validation_part: only these, NULL for all.
SELECT count(DISTINCT trained.prompt_id) AS n_shared
FROM selection_prompts AS trained
JOIN selection_prompts AS validated
    ON validated.prompt_id = trained.prompt_id
WHERE trained.selection_id = CAST($selection AS UUID)
    AND ($parts IS NULL OR list_contains(CAST($parts AS VARCHAR[]), trained.part))
    AND validated.selection_id = CAST($validation AS UUID)
    AND ($validation_part IS NULL OR validated.part = $validation_part)
