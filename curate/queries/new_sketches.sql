-- Those of the sketches just made that nobody else has written meanwhile.
SELECT made.*
FROM made
ANTI JOIN sketches
    USING (conversation_id, part, method)
