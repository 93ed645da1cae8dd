-- The values of the first $draws draws of one labeler, one list for each turn that has them all.
SELECT list(value ORDER BY draw_index) AS draws
FROM current_ratings
WHERE labeler = $labeler
    AND template = $template
    AND scale = $scale
    AND aspect = $aspect
    AND draw_index < $draws
    AND state = 'done'
GROUP BY response_id
HAVING count(*) = $draws
ORDER BY response_id
