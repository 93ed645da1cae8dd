SELECT rowid AS row, hash(content) AS words, strlen(content) AS n_bytes
FROM main.messages
WHERE role = 'assistant' AND version <= $upto
