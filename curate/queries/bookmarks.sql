-- Bookmarks in force: the last word of each annotator on each thing. $annotator: of this one, NULL for all.
SELECT target_kind, target_id, annotator, note, created_at
FROM (
    SELECT
        target_kind,
        CAST(target_id AS VARCHAR) AS target_id,
        annotator,
        arg_max_null(mark, version * 1048576 + seq) AS mark,
        arg_max_null(note, version * 1048576 + seq) AS note,
        arg_max_null(created_at, version * 1048576 + seq) AS created_at
    FROM marks
    WHERE mark IN ('bookmark', 'unbookmark') AND ($annotator IS NULL OR annotator = $annotator)
    GROUP BY target_kind, target_id, annotator
)
WHERE mark = 'bookmark'
ORDER BY created_at DESC, target_kind, target_id, annotator
