-- Verdicts that earlier runs gave in these very orders, the latest of each. An error is asked for again.
SELECT
    CAST(comparison_id AS VARCHAR) AS comparison_id,
    CAST(request_key AS VARCHAR) AS request_key,
    state,
    signed_margin
FROM current_comparisons
WHERE comparison_id IN (SELECT unnest(CAST($comparison_ids AS UUID[])))
    AND parser_version = $parser_version
    AND state <> 'error'
