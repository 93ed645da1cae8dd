-- By source: conversations looked at, dropped, and kept by a person though a rule would drop them.
WITH kept_by_people AS (
    SELECT target_id
    FROM decider_verdicts
    WHERE target_kind = 'conversation' AND decider_kind IS NULL AND verdict = 'keep'
),
drops AS (
    SELECT DISTINCT CAST(target_id AS UUID) AS target_id
    FROM proposed
),
seen AS (
    SELECT conversation_id, source_id
    FROM conversations
    WHERE version > $after AND version <= $upto AND conversation_id NOT IN (
        SELECT derived_from
        FROM conversations
        WHERE derived_from IS NOT NULL
    )
)
SELECT
    coalesce(any_value(current_sources.name), '') AS source,
    count(*) AS seen,
    count(drops.target_id) FILTER (kept_by_people.target_id IS NULL) AS dropped,
    count(drops.target_id) FILTER (kept_by_people.target_id IS NOT NULL) AS overruled
FROM seen
LEFT JOIN current_sources
    ON current_sources.source_id = seen.source_id
LEFT JOIN drops
    ON drops.target_id = seen.conversation_id
LEFT JOIN kept_by_people
    ON kept_by_people.target_id = seen.conversation_id
GROUP BY seen.source_id
ORDER BY source, seen.source_id
