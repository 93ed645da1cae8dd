-- What each source says of answers: who compared or rated, on which scale, by which template, and in which aspects.
-- $prompts: only labels under the prompts of this selection, NULL for all; $sources likewise.
WITH told AS (
    SELECT source_id, prompt_id, 'verdicts' AS kind, labeler, scale, template, NULL AS aspect
    FROM comparisons
    UNION ALL
    SELECT ratings.source_id, messages.parent_id, 'ratings', labeler, scale, template, aspect
    FROM ratings
    JOIN messages
        ON messages.message_id = ratings.response_id
)
SELECT
    sources.name AS source,
    told.kind,
    told.labeler,
    told.scale,
    list(DISTINCT told.template ORDER BY told.template) AS templates,
    coalesce(list(DISTINCT told.aspect ORDER BY told.aspect), []) AS aspects
FROM told
JOIN current_sources AS sources
    ON sources.source_id = told.source_id
WHERE ($sources IS NULL OR list_contains(CAST($sources AS VARCHAR[]), sources.name))
    AND (
        $prompts IS NULL
        OR told.prompt_id IN (
            SELECT prompt_id FROM selection_prompts WHERE selection_id = CAST($prompts AS UUID)
        )
    )
GROUP BY sources.name, told.kind, told.labeler, told.scale
ORDER BY sources.name, told.kind DESC, told.labeler, told.scale
