SELECT place, count(*) AS dropped
FROM proposed
WHERE CAST(target_id AS UUID) IN (
    SELECT conversation_id
    FROM conversations
    WHERE version > $after AND version <= $upto
)
AND CAST(target_id AS UUID) NOT IN (
    SELECT target_id
    FROM decider_verdicts
    WHERE target_kind = 'conversation' AND decider_kind IS NULL AND verdict = 'keep'
)
AND CAST(target_id AS UUID) NOT IN (
    SELECT derived_from
    FROM conversations
    WHERE derived_from IS NOT NULL
)
GROUP BY place
