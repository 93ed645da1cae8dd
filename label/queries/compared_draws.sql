-- Every answer that has a rival under the same prompt, with who gave it: draws of policies in the order
-- they were drawn, then answers of current conversations. $policies: only these, $prompts: only
-- prompts of this selection, NULL for all.
WITH written AS (
    SELECT DISTINCT
        turns.response_id,
        turns.model
    FROM (
        SELECT
            model,
            unnest(message_ids) AS response_id
        FROM current_conversations
    ) AS turns
    WHERE $policies IS NULL OR list_contains(CAST($policies AS VARCHAR[]), turns.model)
),
draws AS (
    SELECT
        prompt_id,
        response_id,
        policy,
        sample_index,
        0 AS kind
    FROM samples
    WHERE $policies IS NULL OR list_contains(CAST($policies AS VARCHAR[]), policy)
    UNION
    SELECT
        messages.parent_id,
        written.response_id,
        written.model,
        0,
        1
    FROM written
    JOIN messages
        ON messages.message_id = written.response_id
    WHERE messages.role = 'assistant' AND messages.parent_id IS NOT NULL
)
SELECT
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(response_id AS VARCHAR) AS response_id,
    policy
FROM draws
WHERE $prompts IS NULL
    OR prompt_id IN (SELECT prompt_id FROM selection_prompts WHERE selection_id = CAST($prompts AS UUID))
QUALIFY count(*) OVER (PARTITION BY prompt_id) > 1
ORDER BY prompt_id, kind, sample_index, policy, response_id
