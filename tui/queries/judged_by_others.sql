SELECT DISTINCT prompt_id
FROM current_comparisons
WHERE labeler <> $annotator AND labeler_kind = 'person' AND scale = $scale AND state <> 'undone'
