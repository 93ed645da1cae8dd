-- The record a cleaned conversation came from stays its record: file, place, model label and class.
SELECT
    cleaned.conversation_id AS conversation_id,
    cleaned.leaf_id AS leaf_id,
    cleaned.message_ids AS message_ids,
    origin.source_id AS source_id,
    origin.record_numbers AS record_numbers,
    origin.line AS line,
    origin.byte_offset AS byte_offset,
    origin.reader AS reader,
    origin.external_id AS external_id,
    origin.model AS model,
    origin.occurrence AS occurrence,
    origin.source_class AS source_class,
    origin.language AS language,
    origin.metadata AS metadata,
    cleaned.derived_from AS derived_from,
    cleaned.derived_step AS derived_step
FROM cleaned
JOIN conversations AS origin
    ON origin.conversation_id = cleaned.derived_from
WHERE cleaned.derived_from NOT IN (
    SELECT conversations.derived_from
    FROM conversations
    WHERE conversations.derived_from IS NOT NULL
)
