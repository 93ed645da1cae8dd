SELECT CAST(message_ids[:list_position(message_ids, $id::UUID)] AS VARCHAR[]) AS path
FROM conversations
WHERE list_contains(message_ids, $id::UUID)
LIMIT 1
