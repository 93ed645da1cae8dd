-- What a rule flagged among the conversations it looked at and does not flag any more.
SELECT
    'conversation' AS target_kind,
    said.target_id AS target_id,
    'undecided' AS verdict,
    'not flagged any more' AS reason,
    NULL AS evidence,
    $decided_by AS decided_by,
    $decided_at::TIMESTAMP AS decided_at,
    $run_id AS run_id,
    $decider_kind AS decider_kind
FROM decider_verdicts AS said
JOIN conversations
    ON conversations.conversation_id = said.target_id
WHERE said.target_kind = 'conversation' AND said.decider = $decider AND said.verdict = 'undecided'
    AND said.evidence IS NOT NULL
    AND conversations.version > $after AND conversations.version <= $upto
    AND said.target_id NOT IN (SELECT CAST(target_id AS UUID) FROM proposed)
ORDER BY said.target_id
