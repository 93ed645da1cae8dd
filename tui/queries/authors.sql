-- Who wrote a response: the models of the conversations it stands in, and the policies that drew it.
SELECT DISTINCT author
FROM (
    SELECT
        concat_ws(
            ' · ',
            nullif(held.model, ''),
            coalesce(held.source_class, model_classes.class, 'unknown'),
            current_sources.name
        ) AS author
    FROM (
        SELECT model, source_class, source_id
        FROM conversations
        WHERE list_contains(message_ids, $id::UUID)
    ) AS held
    LEFT JOIN model_classes
        ON model_classes.model = held.model
    LEFT JOIN current_sources
        ON current_sources.source_id = held.source_id
    UNION ALL
    SELECT policy AS author
    FROM samples
    WHERE response_id = $id::UUID AND prompt_id = $prompt::UUID
)
ORDER BY author
LIMIT 5
