-- The votes of people on one scale, standing and blind or not, with the place of their row.
SELECT
    CAST(comparison_id AS VARCHAR) AS comparison_id,
    CAST(prompt_id AS VARCHAR) AS prompt_id,
    CAST(response_a_id AS VARCHAR) AS response_a_id,
    CAST(response_b_id AS VARCHAR) AS response_b_id,
    labeler,
    state <> 'undone' AS stands,
    if(state = 'undone' OR template LIKE '%-seen', NULL, signed_margin) AS margin
FROM current_comparisons
WHERE labeler_kind = 'person' AND scale = $scale AND version > $after
