-- What an annotator decided, took back and did again, in its order, without the rows of one run.
SELECT
    CAST(target_id AS VARCHAR) AS id,
    nullif(verdict, 'undecided') AS verdict,
    reason,
    evidence,
    version * 1048576 + seq AS place
FROM decisions
WHERE target_kind = 'conversation' AND decided_by = $annotator AND decider_kind IS NULL
    AND coalesce(run_id, '-') <> $except_run
ORDER BY version, seq
