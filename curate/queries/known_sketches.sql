SELECT CAST(conversation_id AS BLOB) AS id, CAST(text_hash AS BLOB) AS text_hash, n_bytes, n_shingles, bands, digest
FROM sketches
WHERE part = $part AND method = $method
ORDER BY version, conversation_id
