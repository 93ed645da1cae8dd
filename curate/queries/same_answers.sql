-- Conversations with an answer that stands under many different prompts, and the first such answer of each.
-- `answer_words` has the hash of every answer's text and its length, by the row of the message.
WITH asked AS (
    SELECT conversation_id, message_ids
    FROM conversations
    WHERE version <= $upto AND conversation_id NOT IN (
        SELECT derived_from
        FROM conversations
        WHERE derived_from IS NOT NULL
    )
),
answers AS (
    SELECT messages.message_id, messages.parent_id, answer_words.words
    FROM main.messages AS messages
    JOIN answer_words
        ON answer_words.row = messages.rowid
    WHERE messages.parent_id IS NOT NULL AND answer_words.n_bytes >= $min_chars AND messages.version <= $upto
),
repeated AS (
    SELECT message_id, parent_id, words
    FROM answers
    WHERE words IN (
        SELECT words
        FROM answers
        GROUP BY words
        HAVING count(*) >= $min_prompts
    )
    AND message_id IN (SELECT unnest(message_ids) FROM asked)
),
prompts AS (
    SELECT repeated.words, count(DISTINCT hash(lower(trim(messages.content)))) AS n_prompts
    FROM repeated
    JOIN messages
        ON messages.message_id = repeated.parent_id
    GROUP BY repeated.words
    HAVING count(DISTINCT hash(lower(trim(messages.content)))) >= $min_prompts
),
marked AS (
    SELECT repeated.message_id, left(messages.content, 120) AS found, prompts.n_prompts
    FROM repeated
    JOIN prompts
        ON prompts.words = repeated.words
    JOIN messages
        ON messages.message_id = repeated.message_id
)
SELECT
    places.conversation_id,
    min(places.position) AS position,
    arg_min(marked.n_prompts, places.position) AS n_prompts,
    arg_min(marked.found, places.position) AS found
FROM (
    SELECT
        conversation_id,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM asked
) AS places
JOIN marked
    ON marked.message_id = places.message_id
GROUP BY places.conversation_id
ORDER BY places.conversation_id
