-- The latest number of responses that have more than one (`repeated_ids`) from one reward model.
SELECT
    prompt_id,
    response_id,
    arg_max_null(value, version * 1048576 + seq) AS score,
    arg_max(state, version * 1048576 + seq) = 'done'
        AND arg_max_null(value, version * 1048576 + seq) IS NOT NULL AS is_scored,
    coalesce(arg_max_null(is_truncated, version * 1048576 + seq), false) AS is_truncated
FROM rewards
WHERE reward_model = $reward_model AND revision = $revision
    AND response_id IN (SELECT response_id FROM repeated_ids) /* where */
GROUP BY prompt_id, response_id
