SELECT nullif(verdict, 'undecided') AS verdict, reason, decided_by
FROM decisions
WHERE target_kind = 'conversation' AND target_id = $id::UUID AND coalesce(run_id, '-') <> $except_run
ORDER BY version DESC, seq DESC
LIMIT 1
