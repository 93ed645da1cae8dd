-- The ratings of one labeler on these answers by these templates, draw by draw; those that came to nothing too.
SELECT
    CAST(response_id AS VARCHAR),
    template,
    draw_index,
    state,
    value
FROM current_ratings
WHERE labeler = $labeler
    AND template IN (SELECT unnest(CAST($templates AS VARCHAR[])))
    AND draw_index < $draws
    AND response_id IN (SELECT unnest(CAST($response_ids AS UUID[])))
ORDER BY ALL
