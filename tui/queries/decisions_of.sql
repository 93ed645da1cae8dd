SELECT concat(target_kind, ':', CAST(target_id AS VARCHAR)) AS key
FROM latest_decisions
WHERE decided_by = $by AND verdict = $verdict AND reason = $reason
ORDER BY decided_at DESC, key
LIMIT $most
