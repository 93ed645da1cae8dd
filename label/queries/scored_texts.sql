-- The scored rows with the length of their texts (-1 without one) and a hash of each text without the white
-- space at its ends.
SELECT
    scored_rows.*,
    coalesce(length(messages.content), -1) AS characters,
    CAST(md5(trim(coalesce(messages.content, ''), ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160)))
        AS UUID) AS text_key
FROM scored_rows
LEFT JOIN messages
    ON messages.message_id = scored_rows.response_id
