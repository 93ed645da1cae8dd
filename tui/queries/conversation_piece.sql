SELECT
    CAST(conversation_id AS BLOB) AS id,
    class,
    source,
    len(message_ids)::INTEGER AS turns,
    nullif(verdict, 'undecided') AS verdict,
    CAST(derived_from AS BLOB) AS derived_from,
    version
FROM all_conversations
WHERE version BETWEEN $first AND $last
ORDER BY version, byte_offset, conversation_id
