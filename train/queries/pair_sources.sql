-- The sources whose conversations hold the prompts of a selection of pairs, with how many of those prompts.
SELECT
    turns.source AS name,
    count(DISTINCT turns.prompt_id) AS n_prompts
FROM (
    SELECT
        source,
        unnest(message_ids) AS prompt_id
    FROM all_conversations
) AS turns
WHERE turns.prompt_id IN (
    SELECT prompt_id
    FROM selection_pairs
    WHERE selection_id = CAST($selection AS UUID) AND ($part IS NULL OR part = $part)
)
GROUP BY turns.source
ORDER BY turns.source
