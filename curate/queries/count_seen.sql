SELECT count(*) AS seen
FROM conversations
WHERE version > $after AND version <= $upto AND conversation_id NOT IN (
    SELECT derived_from
    FROM conversations
    WHERE derived_from IS NOT NULL
)
