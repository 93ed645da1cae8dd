-- A conversation that holds each message, of those written from one version to another; the newest of them,
-- which of a cleaned conversation is what was made of it.
SELECT CAST(message_id AS VARCHAR) AS id, CAST(arg_max(conversation_id, version) AS VARCHAR) AS conversation_id
FROM (
    SELECT conversation_id, version, unnest(message_ids) AS message_id
    FROM conversations
    WHERE version BETWEEN $first AND $last
)
WHERE message_id IN (SELECT unnest($ids::UUID[]))
GROUP BY message_id
