-- For each pair in `asked_pairs` the lengths of its texts (-1 without one), and a hash of each text without the
-- white space at its ends.
WITH texts AS (
    SELECT
        message_id,
        length(content) AS characters,
        md5_number(trim(content, ' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || chr(160))) AS text_key
    FROM messages
    WHERE message_id IN (SELECT chosen_id FROM asked_pairs UNION ALL SELECT rejected_id FROM asked_pairs)
)
SELECT
    coalesce(chosen.characters, -1) AS characters_chosen,
    coalesce(rejected.characters, -1) AS characters_rejected,
    coalesce(chosen.text_key = rejected.text_key, false) AS is_equal,
    CAST(chosen.text_key % 9223372036854775807 AS BIGINT) AS text_chosen
FROM asked_pairs
LEFT JOIN texts AS chosen
    ON chosen.message_id = asked_pairs.chosen_id
LEFT JOIN texts AS rejected
    ON rejected.message_id = asked_pairs.rejected_id
ORDER BY asked_pairs.number
