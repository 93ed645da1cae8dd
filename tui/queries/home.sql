-- Selections, exports and how much each labeler did: the screen that shows more, what it is, its name, a count, a note.
SELECT place, what, which, n, note
FROM (
    SELECT 1 AS part, if(kind = 'pairs', 'a', '') AS place, 'selection' AS what, name AS which, row_count AS n,
        concat(kind, ', v', version) AS note
    FROM selections
    UNION ALL
    SELECT 2, 'x', 'export', recipe, row_count, path
    FROM exports
    UNION ALL
    SELECT 3, 'm', if(labeler_kind = 'person', 'annotator', 'judge'), labeler, count(*),
        concat('comparisons, ', scale)
    FROM (SELECT DISTINCT labeler, labeler_kind, scale, comparison_id FROM comparisons)
    GROUP BY labeler, labeler_kind, scale
    UNION ALL
    SELECT 4, 'p', 'reward model', reward_model, count(*), concat('rewards, ', revision)
    FROM rewards
    GROUP BY reward_model, revision
    UNION ALL
    SELECT 5, 'k', 'bookmarks', annotator, count(*), ''
    FROM (
        SELECT annotator, arg_max(mark, version * 1048576 + seq) AS mark
        FROM marks
        WHERE mark IN ('bookmark', 'unbookmark')
        GROUP BY annotator, target_kind, target_id
    )
    WHERE mark = 'bookmark'
    GROUP BY annotator
)
ORDER BY part, n DESC, which, note
LIMIT 200
