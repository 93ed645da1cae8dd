SELECT CAST(message_id AS BLOB) AS id
FROM messages
WHERE contains(lower(content), lower($word)) AND version BETWEEN $first AND $last
