-- The columns of RLHF Workflow, Table 5, by source: prompts, mean lengths, who completed, who annotated, pairs.
-- Pairs are verdicts that somebody won, all orders taken together; in a source that only rates, two answers to
-- one prompt whose mean rating by one labeler differs. An answer whose ratings could not all be read has no mean,
-- and verbosity and complexity are no merits. `lengths` holds the length of every message; a prompt is as long
-- as its turns together.
WITH RECURSIVE verdicts AS (
    SELECT
        source_id,
        prompt_id,
        chosen_id,
        rejected_id
    FROM merged_comparisons
    WHERE chosen_id IS NOT NULL
        AND chosen_id <> rejected_id
        AND source_id IS NOT NULL
),
rated AS (
    SELECT
        ratings.source_id,
        ratings.labeler,
        ratings.template,
        messages.parent_id AS prompt_id,
        ratings.response_id,
        avg(ratings.value) AS value
    FROM current_ratings AS ratings
    JOIN messages
        ON messages.message_id = ratings.response_id
    WHERE ratings.source_id IS NOT NULL
        AND ratings.source_id NOT IN (SELECT source_id FROM comparisons WHERE source_id IS NOT NULL)
        AND ratings.aspect NOT IN ('verbosity', 'complexity')
        AND messages.parent_id IS NOT NULL
    GROUP BY ratings.source_id, ratings.labeler, ratings.template, messages.parent_id, ratings.response_id
    HAVING bool_and(ratings.state = 'done')
),
-- How many answers of its prompt an answer beats and is beaten by.
placed AS (
    SELECT
        source_id,
        prompt_id,
        response_id,
        rank() OVER lower - 1 AS n_worse,
        rank() OVER higher - 1 AS n_better
    FROM rated
    WINDOW
        lower AS (PARTITION BY source_id, labeler, template, prompt_id ORDER BY value),
        higher AS (PARTITION BY source_id, labeler, template, prompt_id ORDER BY value DESC)
),
sides AS (
    SELECT source_id, prompt_id, chosen_id AS response_id, 1 AS n_worse, 0 AS n_better
    FROM verdicts
    UNION ALL
    SELECT source_id, prompt_id, rejected_id, 0, 1
    FROM verdicts
    UNION ALL
    SELECT source_id, prompt_id, response_id, n_worse, n_better
    FROM placed
    WHERE n_worse + n_better > 0
),
prompts AS (
    SELECT DISTINCT source_id, prompt_id
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
        prompts.source_id,
        count(*) AS prompts,
        avg(prompt_lengths.length) AS mean_prompt
    FROM prompts
    LEFT JOIN prompt_lengths
        ON prompt_lengths.prompt_id = prompts.prompt_id
    GROUP BY prompts.source_id
),
by_side AS (
    SELECT
        sides.source_id,
        sum(sides.n_worse) AS pairs,
        sum(sides.n_worse * lengths.length) / nullif(sum(sides.n_worse), 0) AS mean_preferred,
        sum(sides.n_better * lengths.length) / nullif(sum(sides.n_better), 0) AS mean_rejected
    FROM sides
    JOIN lengths
        ON lengths.message_id = sides.response_id
    GROUP BY sides.source_id
),
completers AS (
    SELECT source_id, policy
    FROM samples
    UNION
    SELECT source_id, unnest([policy_a, policy_b])
    FROM comparisons
),
annotators AS (
    SELECT source_id, labeler, labeler_kind
    FROM comparisons
    UNION
    SELECT source_id, labeler, labeler_kind
    FROM ratings
)
SELECT
    sources.name,
    by_prompt.prompts::BIGINT AS prompts,
    by_prompt.mean_prompt::DOUBLE AS mean_prompt,
    by_side.mean_preferred::DOUBLE AS mean_preferred,
    by_side.mean_rejected::DOUBLE AS mean_rejected,
    (
        SELECT coalesce(list(DISTINCT policy ORDER BY policy), [])
        FROM completers
        WHERE completers.source_id = sources.source_id AND policy IS NOT NULL
    ) AS completers,
    (
        SELECT coalesce(list(DISTINCT labeler ORDER BY labeler), [])
        FROM annotators
        WHERE annotators.source_id = sources.source_id
    ) AS annotators,
    (
        SELECT coalesce(list(DISTINCT labeler_kind ORDER BY labeler_kind), [])
        FROM annotators
        WHERE annotators.source_id = sources.source_id
    ) AS annotator_kinds,
    by_side.pairs::BIGINT AS pairs
FROM current_sources AS sources
JOIN by_prompt
    ON by_prompt.source_id = sources.source_id
JOIN by_side
    ON by_side.source_id = sources.source_id
ORDER BY sources.name, sources.source_id
