-- Conversations with an answer that stands under many different prompts, and the first such answer of each.
WITH answers AS (
    SELECT
        message_id,
        parent_id,
        hash(lower(regexp_replace(trim(content), '\s+', ' ', 'g'))) AS words,
        left(content, 120) AS found
    FROM messages
    WHERE role = 'assistant' AND parent_id IS NOT NULL AND length(content) >= $min_chars AND version <= $upto
        AND message_id IN (
            SELECT unnest(message_ids)
            FROM conversations
            WHERE version <= $upto AND conversation_id NOT IN (
                SELECT derived_from
                FROM conversations
                WHERE derived_from IS NOT NULL
            )
        )
),
prompts AS (
    SELECT answers.words, count(DISTINCT hash(lower(trim(messages.content)))) AS n_prompts
    FROM answers
    JOIN messages
        ON messages.message_id = answers.parent_id
    WHERE answers.words IN (
        SELECT words
        FROM answers
        GROUP BY words
        HAVING count(*) >= $min_prompts
    )
    GROUP BY answers.words
    HAVING count(DISTINCT hash(lower(trim(messages.content)))) >= $min_prompts
),
marked AS (
    SELECT answers.message_id, answers.found, prompts.n_prompts
    FROM answers
    JOIN prompts
        ON prompts.words = answers.words
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
    FROM conversations
    WHERE version <= $upto AND conversation_id NOT IN (
        SELECT derived_from
        FROM conversations
        WHERE derived_from IS NOT NULL
    )
) AS places
JOIN marked
    ON marked.message_id = places.message_id
GROUP BY places.conversation_id
ORDER BY places.conversation_id
