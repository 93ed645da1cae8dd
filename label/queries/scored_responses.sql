-- The responses a reward model is to score, each once however often it was drawn: draws of policies and
-- answers of current conversations. `is_known`: this model gave it a number in this revision already.
-- $policies, $sources, $selection_id: only these, NULL for all; $kind is the kind of that selection.
-- $sample: so many prompts, drawn by $seed. A draw belongs to a source through the conversations that hold
-- its prompt. What comes depends on ids only, in the order of prompts.
WITH conversations_meant AS (
    SELECT
        model,
        message_ids
    FROM current_conversations
    WHERE ($sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), source))
        AND (
            $kind IS DISTINCT FROM 'conversations'
            OR conversation_id IN (
                SELECT conversation_id
                FROM selection_conversations
                WHERE selection_id = CAST($selection_id AS UUID)
            )
        )
),
places AS (
    SELECT DISTINCT unnest(message_ids) AS message_id
    FROM conversations_meant
    WHERE $sources IS NOT NULL OR $kind IS NOT DISTINCT FROM 'conversations'
),
answers AS (
    SELECT DISTINCT unnest(message_ids) AS message_id
    FROM conversations_meant
    WHERE $has_answers
        AND ($policies IS NULL OR list_contains(CAST($policies AS VARCHAR[]), model))
),
drawn AS (
    SELECT
        prompt_id,
        response_id,
        count(*) AS n_draws
    FROM samples
    WHERE $has_draws
        AND ($policies IS NULL OR list_contains(CAST($policies AS VARCHAR[]), policy))
        AND (
            ($sources IS NULL AND $kind IS DISTINCT FROM 'conversations')
            OR prompt_id IN (SELECT message_id FROM places)
        )
    GROUP BY prompt_id, response_id
),
responses AS (
    SELECT
        prompt_id,
        response_id,
        sum(n_draws) AS n_draws
    FROM (
        SELECT prompt_id, response_id, n_draws
        FROM drawn
        UNION ALL
        SELECT messages.parent_id, messages.message_id, 0
        FROM answers
        JOIN messages
            ON messages.message_id = answers.message_id
        WHERE messages.role = 'assistant' AND messages.parent_id IS NOT NULL
    )
    GROUP BY prompt_id, response_id
),
selected AS (
    SELECT
        *,
        dense_rank() OVER (ORDER BY md5(CAST(prompt_id AS VARCHAR) || '/' || $seed)) AS draw
    FROM responses
    WHERE (
            $kind IS DISTINCT FROM 'prompts'
            OR prompt_id IN (
                SELECT prompt_id FROM selection_prompts WHERE selection_id = CAST($selection_id AS UUID)
            )
        )
        AND (
            $kind IS DISTINCT FROM 'pairs'
            OR (prompt_id, response_id) IN (
                SELECT prompt_id, unnest([chosen_id, rejected_id])
                FROM selection_pairs
                WHERE selection_id = CAST($selection_id AS UUID)
            )
        )
),
known AS (
    SELECT prompt_id, response_id
    FROM current_rewards
    WHERE reward_model = $reward_model AND revision = $revision AND state = 'done'
)
SELECT
    CAST(selected.prompt_id AS VARCHAR) AS prompt_id,
    CAST(selected.response_id AS VARCHAR) AS response_id,
    CAST(selected.n_draws AS BIGINT) AS n_draws,
    known.response_id IS NOT NULL AS is_known
FROM selected
LEFT JOIN known
    ON known.prompt_id = selected.prompt_id AND known.response_id = selected.response_id
WHERE $sample IS NULL OR selected.draw <= $sample
ORDER BY selected.prompt_id, selected.response_id
LIMIT $limit
