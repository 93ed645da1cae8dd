-- What a person keeps is kept when it has been cleaned.
SELECT
    'conversation' AS target_kind,
    cleaned.conversation_id AS target_id,
    'keep' AS verdict,
    said.reason AS reason,
    json_object('carried_from', 'c1-' || replace(CAST(cleaned.derived_from AS VARCHAR), '-', '')) AS evidence,
    said.decided_by AS decided_by,
    said.decided_at AS decided_at,
    $run_id AS run_id,
    NULL::VARCHAR AS decider_kind
FROM decider_verdicts AS said
JOIN cleaned
    ON cleaned.derived_from = said.target_id
WHERE said.target_kind = 'conversation' AND said.decider_kind IS NULL AND said.verdict = 'keep'
    AND cleaned.derived_from NOT IN (
        SELECT conversations.derived_from
        FROM conversations
        WHERE conversations.derived_from IS NOT NULL
    )
