SELECT decided_by, verdict, reason, count(*) AS n
FROM latest_decisions
WHERE verdict <> 'undecided'
GROUP BY decided_by, verdict, reason
ORDER BY verdict, n DESC, decided_by, reason
