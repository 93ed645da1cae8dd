SELECT
    CAST(target_id AS BLOB) AS id,
    nullif(arg_max(verdict, version * 1048576 + seq), 'undecided') AS verdict
FROM decisions
WHERE target_kind = 'conversation' AND version > $after
GROUP BY target_id
