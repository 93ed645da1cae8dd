-- Every batch with what became of its requests, oldest first.
SELECT
    batches.* EXCLUDE (noted_at),
    coalesce(outcomes.counts, MAP {}) AS outcomes
FROM current_batches AS batches
LEFT JOIN (
    SELECT batch_id, map_from_entries(list((state, n) ORDER BY state)) AS counts
    FROM (
        SELECT batch_id, state, count(*) AS n
        FROM batch_outcomes
        GROUP BY batch_id, state
    )
    GROUP BY batch_id
) AS outcomes
    ON batches.batch_id = outcomes.batch_id
ORDER BY batches.created_at, batches.batch_id
