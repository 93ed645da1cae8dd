-- Conversations that are not superseded and that nobody but this rule drops, with what says which one to keep.
WITH said AS (
    SELECT
        target_id,
        bool_or(decider_kind IS NULL AND verdict = 'keep') AS is_wanted,
        bool_or(decider_kind IS NULL AND verdict = 'drop') AS is_unwanted,
        bool_or(decider_kind IS NOT NULL AND verdict = 'drop' AND decider <> $decider) AS is_dropped
    FROM decider_verdicts
    WHERE target_kind = 'conversation'
    GROUP BY target_id
)
SELECT
    CAST(found.conversation_id AS BLOB) AS id,
    found.version,
    found.line,
    coalesce(current_classes.weight, current_classes.reward, 0.0) AS weight,
    dense_rank() OVER (ORDER BY found.source_id) AS source,
    coalesce(said.is_wanted, false) AS is_wanted
FROM all_conversations AS found
LEFT JOIN current_classes
    ON current_classes.name = found.class
LEFT JOIN said
    ON said.target_id = found.conversation_id
WHERE found.version <= $upto
    AND found.conversation_id NOT IN (
        SELECT derived_from
        FROM conversations
        WHERE derived_from IS NOT NULL
    )
    AND NOT coalesce(said.is_unwanted, false)
    AND (coalesce(said.is_wanted, false) OR NOT coalesce(said.is_dropped, false))
ORDER BY found.version, found.conversation_id
