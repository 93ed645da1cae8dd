-- Answers to a second question that follow an answer to a first one, with who gave both: the model of a
-- conversation, or a policy that drew both. $firsts and $seconds: the texts of the questions.
WITH answered AS (
    SELECT
        trim(first_questions.content, $spaces) AS first_question,
        trim(second_questions.content, $spaces) AS second_question,
        first_answers.message_id AS first_id,
        second_answers.message_id AS second_id
    FROM messages AS second_questions
    JOIN messages AS first_answers
        ON first_answers.message_id = second_questions.parent_id
    JOIN messages AS first_questions
        ON first_questions.message_id = first_answers.parent_id
    JOIN messages AS second_answers
        ON second_answers.parent_id = second_questions.message_id
    WHERE second_questions.role = 'user'
        AND first_questions.role = 'user'
        AND first_answers.role = 'assistant'
        AND second_answers.role = 'assistant'
        AND trim(second_questions.content, $spaces) IN (SELECT unnest(CAST($seconds AS VARCHAR[])))
        AND trim(first_questions.content, $spaces) IN (SELECT unnest(CAST($firsts AS VARCHAR[])))
),
written AS (
    SELECT DISTINCT
        turns.response_id,
        turns.model
    FROM (
        SELECT
            model,
            unnest(message_ids) AS response_id
        FROM current_conversations
        WHERE model <> ''
    ) AS turns
    WHERE turns.response_id IN (SELECT second_id FROM answered)
),
authors AS (
    SELECT response_id, model
    FROM written
    UNION
    SELECT
        second_draws.response_id,
        second_draws.policy
    FROM samples AS second_draws
    JOIN answered
        ON answered.second_id = second_draws.response_id
    JOIN samples AS first_draws
        ON first_draws.response_id = answered.first_id
        AND first_draws.policy = second_draws.policy
)
SELECT
    authors.model,
    answered.first_question,
    answered.second_question,
    CAST(answered.first_id AS VARCHAR) AS first_id,
    CAST(answered.second_id AS VARCHAR) AS second_id
FROM answered
JOIN authors
    ON authors.response_id = answered.second_id
ORDER BY ALL
