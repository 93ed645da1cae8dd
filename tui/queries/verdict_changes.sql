SELECT CAST(target_id AS BLOB) AS id, nullif(verdict, 'undecided') AS verdict
FROM latest_decisions
WHERE target_kind = 'conversation' AND target_id IN (
    SELECT target_id
    FROM decisions
    WHERE target_kind = 'conversation' AND version > $after
)
