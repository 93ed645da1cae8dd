-- The prompts a run of sampling is about, each with how many of its draws are stored already: those of a
-- selection, else every user turn of current conversations. $sample: a draw of so many, by $seed; $limit: the
-- first so many. The draw of index i belongs to the sampling parameters numbered i modulo their count. Draws
-- that were made here are stored once each; those of files, which name their source, are none of ours.
WITH candidates AS (
    SELECT DISTINCT prompt_id
    FROM selection_prompts
    WHERE selection_id = CAST($selection_id AS UUID)
        AND ($part IS NULL OR part = $part)
    UNION ALL
    SELECT turns.message_id
    FROM (
        SELECT DISTINCT unnest(message_ids) AS message_id
        FROM current_conversations
        WHERE $selection_id IS NULL
            AND ($source IS NULL OR source = $source)
    ) AS turns
    JOIN messages
        ON messages.message_id = turns.message_id
    WHERE messages.role = 'user'
),
drawn AS (
    SELECT prompt_id
    FROM candidates
    QUALIFY $sample IS NULL
        OR row_number() OVER (ORDER BY md5(CAST(prompt_id AS VARCHAR) || '/' || $seed)) <= $sample
),
chosen AS (
    SELECT prompt_id
    FROM drawn
    ORDER BY prompt_id
    LIMIT $limit
),
known AS (
    SELECT
        prompt_id,
        count(*) AS n_known
    FROM samples
    WHERE policy = $policy
        AND source_id IS NULL
        AND sample_index < $n
        AND sampling = CAST($samplings AS VARCHAR[])[sample_index % len(CAST($samplings AS VARCHAR[])) + 1]
    GROUP BY prompt_id
)
SELECT
    CAST(chosen.prompt_id AS VARCHAR) AS prompt_id,
    CAST(coalesce(known.n_known, 0) AS INTEGER) AS n_known
FROM chosen
LEFT JOIN known
    ON known.prompt_id = chosen.prompt_id
ORDER BY chosen.prompt_id
