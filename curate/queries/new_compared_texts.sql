SELECT made.*
FROM made
ANTI JOIN compared_texts
    USING (method, text_hash_a, text_hash_b)
