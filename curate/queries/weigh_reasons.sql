-- Each dropped conversation under the reason of the first rule that drops it.
SELECT reason, count(*) AS dropped
FROM (
    SELECT CAST(target_id AS UUID) AS target_id, arg_min(reason, place) AS reason
    FROM proposed
    GROUP BY CAST(target_id AS UUID)
)
WHERE target_id IN (
    SELECT conversation_id
    FROM conversations
    WHERE version > $after AND version <= $upto
)
AND target_id NOT IN (
    SELECT target_id
    FROM decider_verdicts
    WHERE target_kind = 'conversation' AND decider_kind IS NULL AND verdict = 'keep'
)
AND target_id NOT IN (
    SELECT derived_from
    FROM conversations
    WHERE derived_from IS NOT NULL
)
GROUP BY reason
ORDER BY dropped DESC, reason
