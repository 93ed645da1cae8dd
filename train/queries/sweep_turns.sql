-- How many turns users took in the current conversations of these sources, NULL for all.
SELECT CAST(count(*) AS BIGINT)
FROM (
    SELECT unnest(message_ids) AS message_id
    FROM current_conversations
    WHERE $sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), source)
) AS turns
JOIN messages
    USING (message_id)
WHERE messages.role = 'user'
