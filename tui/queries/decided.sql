-- Decisions with their evidence and the start of what they are about: the first turn, or the message.
SELECT
    decided.target_kind,
    CAST(decided.target_id AS VARCHAR) AS id,
    decided.verdict,
    decided.evidence,
    left(messages.content, 400) AS text
FROM (
    SELECT target_kind, target_id, verdict, evidence
    FROM latest_decisions
    WHERE target_id IN (SELECT unnest($ids::UUID[]))
) AS decided
LEFT JOIN conversations
    ON decided.target_kind = 'conversation' AND conversations.conversation_id = decided.target_id
LEFT JOIN messages
    ON messages.message_id = coalesce(conversations.message_ids[1], decided.target_id)
