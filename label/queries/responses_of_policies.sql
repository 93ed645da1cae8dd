-- Responses that one of the policies in the variable scored_policies gave, as a draw or in a conversation.
SELECT response_id
FROM samples
WHERE list_contains(getvariable('scored_policies'), policy)
UNION ALL
SELECT unnest(message_ids)
FROM current_conversations
WHERE list_contains(getvariable('scored_policies'), model)
