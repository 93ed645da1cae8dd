-- The newest runs.
SELECT
    run_id,
    command,
    state,
    started_at,
    ended_at,
    counts,
    prompt_tokens,
    completion_tokens,
    cost_usd
FROM current_runs
ORDER BY started_at DESC, run_id DESC
LIMIT $limit
