-- Proposed flags that are not already the last word of their rule.
SELECT
    'conversation' AS target_kind,
    fresh.target_id AS target_id,
    'undecided' AS verdict,
    fresh.reason AS reason,
    fresh.evidence AS evidence,
    $decided_by AS decided_by,
    $decided_at::TIMESTAMP AS decided_at,
    $run_id AS run_id,
    $decider_kind AS decider_kind
FROM (SELECT CAST(target_id AS UUID) AS target_id, reason, evidence FROM proposed) AS fresh
LEFT JOIN (
    SELECT *
    FROM decider_verdicts
    WHERE target_kind = 'conversation' AND decider = $decider AND verdict = 'undecided'
) AS said
    ON said.target_id = fresh.target_id
WHERE said.target_id IS NULL
    OR said.reason <> fresh.reason
    OR said.evidence IS DISTINCT FROM fresh.evidence
ORDER BY fresh.target_id
