-- Who wrote a response: the models of the conversations it stands in, and the policies that drew it.
SELECT DISTINCT author
FROM (
    SELECT concat_ws(' · ', nullif(model, ''), class, source) AS author
    FROM all_conversations
    WHERE list_contains(message_ids, $id::UUID)
    UNION ALL
    SELECT policy AS author
    FROM samples
    WHERE response_id = $id::UUID AND prompt_id = $prompt::UUID
)
ORDER BY author
LIMIT 5
