-- Pairs whose vote was taken back after their authors were shown.
SELECT DISTINCT comparison_id
FROM comparisons
WHERE labeler = $annotator AND labeler_kind = 'person' AND scale = $scale AND state = 'undone'
