-- Flags that no person has looked at.
SELECT
    'c1-' || replace(CAST(said.target_id AS VARCHAR), '-', '') AS target,
    said.reason AS reason,
    said.evidence AS evidence,
    said.decided_at AS decided_at
FROM decider_verdicts AS said
WHERE said.target_kind = 'conversation' AND said.decider = $decider AND said.verdict = 'undecided'
    AND said.evidence IS NOT NULL
    AND said.target_id NOT IN (
        SELECT target_id
        FROM decider_verdicts
        WHERE target_kind = 'conversation' AND decider_kind IS NULL AND verdict <> 'undecided'
    )
ORDER BY said.reason, target
LIMIT $limit
