-- The texts of messages that were written at these versions: the rest of the table is not read.
SELECT
    CAST(message_id AS VARCHAR) AS message_id,
    role,
    content
FROM messages
WHERE version IN (SELECT unnest(CAST($versions AS BIGINT[])))
    AND message_id IN (SELECT unnest(CAST($message_ids AS UUID[])))
