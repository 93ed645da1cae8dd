-- The decision in force, with the weights of the view latest_decisions; of one annotator only some rows count.
SELECT nullif(verdict, 'undecided') AS verdict, reason, decided_by, decider_kind IS NOT NULL AS is_rule
FROM (
    SELECT
        arg_max_null(verdict, version * 1048576 + seq) AS verdict,
        arg_max_null(reason, version * 1048576 + seq) AS reason,
        arg_max_null(decided_by, version * 1048576 + seq) AS decided_by,
        arg_max_null(decider_kind, version * 1048576 + seq) AS decider_kind,
        max(version * 1048576 + seq) AS place
    FROM decisions
    WHERE target_kind = 'conversation' AND target_id = $id::UUID
        AND NOT (
            decided_by = $without AND decider_kind IS NULL
            AND NOT list_contains($standing::BIGINT[], version * 1048576 + seq)
        )
    GROUP BY if(decider_kind IS NULL, 'person', split_part(decided_by, '/', 1))
)
ORDER BY
    CASE
        WHEN verdict = 'undecided' THEN place
        WHEN decider_kind IS NULL THEN place + 3 * 288230376151711744
        WHEN verdict = 'drop' THEN 3 * 288230376151711744 - 1 - place
        ELSE place + 288230376151711744
    END DESC
LIMIT 1
