-- The answers registered as `chosen_answers`, with every text they need: ids first, texts after.
WITH RECURSIVE climb AS (
    SELECT DISTINCT
        prompt_id,
        prompt_id AS message_id
    FROM chosen_answers
    UNION ALL
    SELECT
        climb.prompt_id,
        messages.parent_id
    FROM climb
    JOIN messages
        ON messages.message_id = climb.message_id
    WHERE messages.parent_id IS NOT NULL
),
texts AS MATERIALIZED (
    SELECT
        message_id,
        role,
        content,
        depth
    FROM messages
    WHERE message_id IN (
        SELECT message_id FROM climb
        UNION
        SELECT response_id FROM chosen_answers
    )
),
prompts AS (
    SELECT
        climb.prompt_id,
        list(CAST(texts.message_id AS VARCHAR) ORDER BY texts.depth) AS message_ids,
        list(texts.role ORDER BY texts.depth) AS roles,
        list(texts.content ORDER BY texts.depth) AS contents
    FROM climb
    JOIN texts
        ON texts.message_id = climb.message_id
    GROUP BY climb.prompt_id
)
SELECT
    CAST(chosen_answers.prompt_id AS VARCHAR) AS prompt_id,
    CAST(chosen_answers.response_id AS VARCHAR) AS response_id,
    chosen_answers.score AS score,
    prompts.message_ids AS message_ids,
    prompts.roles AS roles,
    prompts.contents AS contents,
    answers.content AS answer
FROM chosen_answers
LEFT JOIN prompts
    ON prompts.prompt_id = chosen_answers.prompt_id
LEFT JOIN texts AS answers
    ON answers.message_id = chosen_answers.response_id
ORDER BY chosen_answers.prompt_id, chosen_answers.response_id
