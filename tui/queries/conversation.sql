SELECT CAST(message_ids AS VARCHAR[]) AS path, model, external_id
FROM conversations
WHERE conversation_id = $id::UUID AND version = $version
