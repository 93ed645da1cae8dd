-- How many prompts of the selection $prompts stand in the rows of the export $export_id.
SELECT count(*)
FROM selection_prompts
WHERE selection_id = CAST($prompts AS UUID)
    AND prompt_id IN (
        SELECT unnest(message_ids) FROM export_rows WHERE export_id = CAST($export_id AS UUID)
    )
