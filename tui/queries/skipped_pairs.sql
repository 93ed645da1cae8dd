SELECT target_id
FROM marks
WHERE target_kind = 'comparison' AND annotator = $annotator AND mark IN ('skip', 'unskip')
GROUP BY target_id
HAVING arg_max(mark, version * 1048576 + seq) = 'skip'
