SELECT
    CAST(response_id AS VARCHAR) AS id,
    labeler,
    aspect,
    scale,
    arg_max(value, version * 1048576 + seq) AS value,
    arg_max(state, version * 1048576 + seq) AS state,
    coalesce(arg_max(coalesce(explanation, ''), version * 1048576 + seq), '') AS explanation
FROM ratings
WHERE response_id IN (SELECT unnest($path::UUID[]))
GROUP BY response_id, labeler, template, scale, aspect, draw_index
ORDER BY labeler, template, scale, aspect, draw_index
