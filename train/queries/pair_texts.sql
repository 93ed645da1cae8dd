-- The pairs of a selection in one range of prompts, with every text they need: ids first, texts after.
-- $part: only this part of the selection, NULL for all.
WITH RECURSIVE chosen AS (
    SELECT
        prompt_id,
        chosen_id,
        rejected_id,
        score_chosen,
        score_rejected,
        score_gap,
        rank_chosen,
        rank_rejected,
        strength
    FROM selection_pairs
    WHERE selection_id = CAST($selection AS UUID)
        AND ($part IS NULL OR part = $part)
        AND prompt_id >= CAST($low AS UUID)
        AND prompt_id <= CAST($high AS UUID)
),
climb AS (
    SELECT DISTINCT
        prompt_id,
        prompt_id AS message_id
    FROM chosen
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
        SELECT chosen_id FROM chosen
        UNION
        SELECT rejected_id FROM chosen
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
    CAST(chosen.prompt_id AS VARCHAR) AS prompt_id,
    CAST(chosen.chosen_id AS VARCHAR) AS chosen_id,
    CAST(chosen.rejected_id AS VARCHAR) AS rejected_id,
    prompts.message_ids AS message_ids,
    prompts.roles AS roles,
    prompts.contents AS contents,
    better.content AS chosen,
    worse.content AS rejected,
    chosen.score_chosen AS score_chosen,
    chosen.score_rejected AS score_rejected,
    chosen.score_gap AS score_gap,
    chosen.rank_chosen AS rank_chosen,
    chosen.rank_rejected AS rank_rejected,
    chosen.strength AS strength
FROM chosen
LEFT JOIN prompts
    ON prompts.prompt_id = chosen.prompt_id
LEFT JOIN texts AS better
    ON better.message_id = chosen.chosen_id
LEFT JOIN texts AS worse
    ON worse.message_id = chosen.rejected_id
ORDER BY chosen.prompt_id, chosen.chosen_id, chosen.rejected_id
