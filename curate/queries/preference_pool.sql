-- Prompts with labels that a choice may be made from, once for each source that labels them, each with a number
-- drawn for it: always the same for one id and seed. $sources narrows where the labels come from, $classes,
-- $selection and $part the conversations that a prompt must be on, NULL for all. is_current: whether it is on one that
-- is in force.
WITH RECURSIVE chosen AS (
    SELECT message_ids
    FROM current_conversations
    WHERE ($classes IS NULL OR list_contains(CAST($classes AS VARCHAR[]), class))
        AND (
            $selection IS NULL
            OR conversation_id IN (
                SELECT conversation_id
                FROM selection_conversations
                WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)
            )
        )
),
on_paths AS (
    SELECT DISTINCT unnest(message_ids) AS message_id
    FROM chosen
),
told AS (
    SELECT source_id, prompt_id
    FROM comparisons
    UNION
    SELECT ratings.source_id, messages.parent_id
    FROM ratings
    JOIN messages
        ON messages.message_id = ratings.response_id
    WHERE messages.parent_id IS NOT NULL
),
labeled AS (
    SELECT DISTINCT sources.name AS source, told.prompt_id
    FROM told
    JOIN current_sources AS sources
        ON sources.source_id = told.source_id
    WHERE $sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), sources.name)
),
climb AS (
    SELECT DISTINCT prompt_id, prompt_id AS message_id
    FROM labeled
    UNION ALL
    SELECT climb.prompt_id, messages.parent_id
    FROM climb
    JOIN messages
        ON messages.message_id = climb.message_id
    WHERE messages.parent_id IS NOT NULL
),
turns AS (
    SELECT climb.prompt_id, count(*) AS n_turns
    FROM climb
    JOIN messages
        ON messages.message_id = climb.message_id
    WHERE messages.role = 'user'
    GROUP BY climb.prompt_id
)
SELECT
    CAST(labeled.prompt_id AS VARCHAR) AS prompt_id,
    labeled.source AS source,
    coalesce(turns.n_turns, 0) AS n_turns,
    on_paths.message_id IS NOT NULL AS is_current,
    ('0x' || substr(md5($seed || '/' || CAST(labeled.prompt_id AS VARCHAR)), 1, 13))::BIGINT
        / 4503599627370496.0 AS chance
FROM labeled
LEFT JOIN turns
    ON turns.prompt_id = labeled.prompt_id
LEFT JOIN on_paths
    ON on_paths.message_id = labeled.prompt_id
ORDER BY chance, labeled.prompt_id, labeled.source
