-- What rules flagged, and what they dropped as nearly the same as another, that no person has decided about.
SELECT
    CAST(said.target_id AS VARCHAR) AS id,
    said.decider,
    said.verdict,
    said.reason,
    said.evidence
FROM decider_verdicts AS said
WHERE said.target_kind = 'conversation'
    AND said.decider_kind IS NOT NULL
    AND (
        said.verdict = 'undecided' AND said.evidence IS NOT NULL
        OR said.verdict = 'drop' AND said.decider LIKE 'dedup:%' AND said.reason <> 'exact duplicate'
    )
    AND said.target_id NOT IN (
        SELECT target_id
        FROM decider_verdicts
        WHERE target_kind = 'conversation' AND decider_kind IS NULL AND verdict <> 'undecided'
    )
ORDER BY said.verdict DESC, said.reason, said.evidence, id
LIMIT $most
