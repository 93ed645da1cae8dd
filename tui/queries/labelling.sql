-- Whose ratings the list shows: whoever gave most.
SELECT labeler, template, scale, aspect
FROM ratings
GROUP BY labeler, template, scale, aspect
ORDER BY count(*) DESC, labeler, template, scale, aspect
LIMIT 1
