-- The current conversations a choice may be made from, each with a number drawn for it and one drawn for its
-- first question: always the same for one id or question and seed. $sources, $classes, $selection (and $part
-- of it) narrow it, NULL for all.
WITH chosen AS (
    SELECT conversation_id, source, class, message_ids
    FROM current_conversations
    WHERE ($sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), source))
        AND ($classes IS NULL OR list_contains(CAST($classes AS VARCHAR[]), class))
        AND (
            $selection IS NULL
            OR conversation_id IN (
                SELECT conversation_id
                FROM selection_conversations
                WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)
            )
        )
),
turns AS (
    SELECT
        conversation_id,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM chosen
),
questions AS (
    SELECT
        turns.conversation_id,
        count(*) AS n_turns,
        arg_min(turns.message_id, turns.position) AS first_id
    FROM turns
    JOIN messages
        ON messages.message_id = turns.message_id
    WHERE messages.role = 'user'
    GROUP BY turns.conversation_id
),
first_questions AS (
    SELECT
        message_id,
        md5(lower(trim(regexp_replace(content, '\s+', ' ', 'g')))) AS question
    FROM messages
    WHERE message_id IN (SELECT first_id FROM questions)
)
SELECT
    CAST(chosen.conversation_id AS VARCHAR) AS conversation_id,
    chosen.source AS source,
    chosen.class AS class,
    coalesce(questions.n_turns, 0) AS n_turns,
    ('0x' || substr(md5($seed || '/' || CAST(chosen.conversation_id AS VARCHAR)), 1, 13))::BIGINT
        / 4503599627370496.0 AS chance,
    ('0x' || substr(
        md5($seed || '/' || coalesce(first_questions.question, CAST(chosen.conversation_id AS VARCHAR))), 1, 13
    ))::BIGINT / 4503599627370496.0 AS question_chance
FROM chosen
LEFT JOIN questions
    ON questions.conversation_id = chosen.conversation_id
LEFT JOIN first_questions
    ON first_questions.message_id = questions.first_id
ORDER BY chance, chosen.conversation_id
