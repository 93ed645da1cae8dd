SELECT decided_by, settings, to_version
FROM screenings
WHERE decider = $decider
ORDER BY version DESC, seq DESC
LIMIT 1
