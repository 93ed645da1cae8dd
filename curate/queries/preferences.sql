-- The columns of RLHF Workflow, Table 5, by source: prompts, mean lengths, who completed, who annotated, pairs.
-- A source is all files of one name, $by_file: each file by itself. Pairs are verdicts that somebody won, all
-- orders taken together; in a source that only rates, two answers to one prompt whose mean rating by one labeler
-- differs. An answer whose ratings could not all be read has no mean, and verbosity and complexity are no merits.
-- `lengths` holds the length of every message; a prompt is as long as its turns together.
WITH RECURSIVE origins AS (
    SELECT
        source_id,
        if($by_file, CAST(source_id AS VARCHAR), name) AS origin,
        name,
        path
    FROM current_sources
),
verdicts AS (
    SELECT
        origin,
        prompt_id,
        chosen_id,
        rejected_id
    FROM merged_comparisons
    JOIN origins
        ON origins.source_id = merged_comparisons.source_id
    WHERE chosen_id IS NOT NULL
        AND chosen_id <> rejected_id
),
rated AS (
    SELECT
        origins.origin,
        ratings.labeler,
        ratings.template,
        messages.parent_id AS prompt_id,
        ratings.response_id,
        avg(ratings.value) AS value
    FROM current_ratings AS ratings
    JOIN origins
        ON origins.source_id = ratings.source_id
    JOIN messages
        ON messages.message_id = ratings.response_id
    WHERE origins.origin NOT IN (
        SELECT origin
        FROM comparisons
        JOIN origins
            ON origins.source_id = comparisons.source_id
    )
        AND ratings.aspect NOT IN ('verbosity', 'complexity')
        AND messages.parent_id IS NOT NULL
    GROUP BY origins.origin, ratings.labeler, ratings.template, messages.parent_id, ratings.response_id
    HAVING bool_and(ratings.state = 'done')
),
-- How many answers of its prompt an answer beats and is beaten by.
placed AS (
    SELECT
        origin,
        prompt_id,
        response_id,
        rank() OVER lower - 1 AS n_worse,
        rank() OVER higher - 1 AS n_better
    FROM rated
    WINDOW
        lower AS (PARTITION BY origin, labeler, template, prompt_id ORDER BY value),
        higher AS (PARTITION BY origin, labeler, template, prompt_id ORDER BY value DESC)
),
sides AS (
    SELECT origin, prompt_id, chosen_id AS response_id, 1 AS n_worse, 0 AS n_better
    FROM verdicts
    UNION ALL
    SELECT origin, prompt_id, rejected_id, 0, 1
    FROM verdicts
    UNION ALL
    SELECT origin, prompt_id, response_id, n_worse, n_better
    FROM placed
    WHERE n_worse + n_better > 0
),
prompts AS (
    SELECT DISTINCT origin, prompt_id
    FROM sides
),
climb AS (
    SELECT DISTINCT prompt_id, prompt_id AS message_id
    FROM prompts
    UNION ALL
    SELECT climb.prompt_id, messages.parent_id
    FROM climb
    JOIN messages
        ON messages.message_id = climb.message_id
    WHERE messages.parent_id IS NOT NULL
),
prompt_lengths AS (
    SELECT climb.prompt_id, sum(lengths.length) AS length
    FROM climb
    JOIN lengths
        ON lengths.message_id = climb.message_id
    GROUP BY climb.prompt_id
),
by_prompt AS (
    SELECT
        prompts.origin,
        count(*) AS prompts,
        avg(prompt_lengths.length) AS mean_prompt
    FROM prompts
    LEFT JOIN prompt_lengths
        ON prompt_lengths.prompt_id = prompts.prompt_id
    GROUP BY prompts.origin
),
by_side AS (
    SELECT
        sides.origin,
        sum(sides.n_worse) AS pairs,
        sum(sides.n_worse * lengths.length) / nullif(sum(sides.n_worse), 0) AS mean_preferred,
        sum(sides.n_better * lengths.length) / nullif(sum(sides.n_better), 0) AS mean_rejected
    FROM sides
    JOIN lengths
        ON lengths.message_id = sides.response_id
    GROUP BY sides.origin
),
completers AS (
    SELECT origin, policy
    FROM samples
    JOIN origins
        ON origins.source_id = samples.source_id
    UNION
    SELECT origin, unnest([policy_a, policy_b])
    FROM comparisons
    JOIN origins
        ON origins.source_id = comparisons.source_id
),
annotators AS (
    SELECT origin, labeler, labeler_kind
    FROM comparisons
    JOIN origins
        ON origins.source_id = comparisons.source_id
    UNION
    SELECT origin, labeler, labeler_kind
    FROM ratings
    JOIN origins
        ON origins.source_id = ratings.source_id
),
files AS (
    SELECT
        origin,
        any_value(name) AS name,
        count(DISTINCT path) AS files,
        min(path) AS path
    FROM origins
    GROUP BY origin
)
SELECT
    files.name,
    by_prompt.prompts::BIGINT AS prompts,
    by_prompt.mean_prompt::DOUBLE AS mean_prompt,
    by_side.mean_preferred::DOUBLE AS mean_preferred,
    by_side.mean_rejected::DOUBLE AS mean_rejected,
    (
        SELECT coalesce(list(DISTINCT policy ORDER BY policy), [])
        FROM completers
        WHERE completers.origin = files.origin AND policy IS NOT NULL
    ) AS completers,
    (
        SELECT coalesce(list(DISTINCT labeler ORDER BY labeler), [])
        FROM annotators
        WHERE annotators.origin = files.origin
    ) AS annotators,
    (
        SELECT coalesce(list(DISTINCT labeler_kind ORDER BY labeler_kind), [])
        FROM annotators
        WHERE annotators.origin = files.origin
    ) AS annotator_kinds,
    by_side.pairs::BIGINT AS pairs,
    files.files,
    if($by_file, files.path, NULL) AS path
FROM files
JOIN by_prompt
    ON by_prompt.origin = files.origin
JOIN by_side
    ON by_side.origin = files.origin
ORDER BY files.name, files.path, files.origin
