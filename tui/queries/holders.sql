-- The conversations a message stands in: their turns, and whose they are (the model named, else the class given).
SELECT CAST(message_ids AS VARCHAR[]) AS path, coalesce(nullif(model, ''), source_class, 'unknown') AS writer
FROM conversations
WHERE list_contains(message_ids, $id::UUID)
