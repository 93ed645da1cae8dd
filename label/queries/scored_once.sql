-- One reward model's numbers as they were stored, every state, without asking which is the latest of a response.
SELECT
    prompt_id,
    response_id,
    value AS score,
    state = 'done' AND value IS NOT NULL AS is_scored,
    coalesce(is_truncated, false) AS is_truncated
FROM rewards
WHERE reward_model = $reward_model AND revision = $revision /* where */
