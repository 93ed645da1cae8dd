SELECT CAST(text_hash_a AS BLOB) || CAST(text_hash_b AS BLOB) AS pair, score
FROM compared_texts
WHERE method = $method
