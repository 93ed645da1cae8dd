-- Derived views, all in schema as_of: they read the as-of views of the tables, so `--at` reaches them all.
-- Latest wins by (version, seq), packed as version * 2^20 + seq, which is what DuckDB's arg_max is fast on;
-- arg_max_null, so that a later NULL wins too. A run keeps the last value it gave instead (arg_max).

CREATE VIEW as_of.current_runs AS
SELECT
    run_id,
    arg_max(command, version * 1048576 + seq) AS command,
    arg_max(settings, version * 1048576 + seq) AS settings,
    arg_max(software_version, version * 1048576 + seq) AS software_version,
    arg_max(host, version * 1048576 + seq) AS host,
    arg_max(pid, version * 1048576 + seq) AS pid,
    arg_max(state, version * 1048576 + seq) AS state,
    min(started_at) AS started_at,
    max(ended_at) AS ended_at,
    arg_max(counts, version * 1048576 + seq) AS counts,
    arg_max(prompt_tokens, version * 1048576 + seq) AS prompt_tokens,
    arg_max(completion_tokens, version * 1048576 + seq) AS completion_tokens,
    arg_max(cost_usd, version * 1048576 + seq) AS cost_usd
FROM as_of.runs
GROUP BY run_id;

CREATE VIEW as_of.current_sources AS
SELECT
    source_id,
    arg_max_null(name, version * 1048576 + seq) AS name,
    arg_max_null(reader, version * 1048576 + seq) AS reader,
    arg_max_null(path, version * 1048576 + seq) AS path,
    arg_max_null(sha256, version * 1048576 + seq) AS sha256,
    arg_max_null(bytes, version * 1048576 + seq) AS bytes,
    arg_max_null(license, version * 1048576 + seq) AS license,
    arg_max_null(settings, version * 1048576 + seq) AS settings,
    arg_max_null(state, version * 1048576 + seq) AS state,
    arg_max_null(records_read, version * 1048576 + seq) AS records_read,
    arg_max_null(records_kept, version * 1048576 + seq) AS records_kept,
    arg_max_null(records_rejected, version * 1048576 + seq) AS records_rejected
FROM as_of.sources
GROUP BY source_id;

CREATE VIEW as_of.current_classes AS
SELECT
    name,
    arg_max_null(condition, version * 1048576 + seq) AS condition,
    arg_max_null(reward, version * 1048576 + seq) AS reward,
    arg_max_null(weight, version * 1048576 + seq) AS weight,
    arg_max_null(patterns, version * 1048576 + seq) AS patterns
FROM as_of.source_classes
GROUP BY name;

-- The class of every model label seen: the longest matching pattern decides.
CREATE VIEW as_of.model_classes AS
SELECT
    labels.model,
    arg_max(matches.name, matches.strength) AS class
FROM (SELECT DISTINCT model FROM as_of.conversations WHERE model <> '') AS labels
JOIN (
    SELECT
        name,
        unnest(patterns) AS pattern,
        length(replace(unnest(patterns), '*', '')) AS strength
    FROM as_of.current_classes
) AS matches
    ON lower(labels.model) GLOB lower(matches.pattern)
GROUP BY labels.model;

-- The last word of each decider on each target. A rule is one decider in all its versions (`filter:pii/2` is
-- `filter:pii`); people are one decider together, so that the latest of them decides.
CREATE VIEW as_of.decider_verdicts AS
SELECT
    target_kind,
    target_id,
    decider,
    any_value(decider_kind) AS decider_kind,
    arg_max_null(verdict, version * 1048576 + seq) AS verdict,
    arg_max_null(reason, version * 1048576 + seq) AS reason,
    arg_max_null(evidence, version * 1048576 + seq) AS evidence,
    arg_max_null(decided_by, version * 1048576 + seq) AS decided_by,
    arg_max_null(decided_at, version * 1048576 + seq) AS decided_at,
    max(version * 1048576 + seq) AS place
FROM (
    SELECT *, if(decider_kind IS NULL, 'person', split_part(decided_by, '/', 1)) AS decider
    FROM as_of.decisions
)
GROUP BY target_kind, target_id, decider;

-- The decision in force: a person's word outweighs every rule, a rule's drop every other rule; of several drops
-- the first gives the reason, of other words the last counts. `undecided` takes back what its decider said before.
CREATE VIEW as_of.latest_decisions AS
SELECT
    target_kind,
    target_id,
    arg_max_null(verdict, weight) AS verdict,
    arg_max_null(reason, weight) AS reason,
    arg_max_null(evidence, weight) AS evidence,
    arg_max_null(decided_by, weight) AS decided_by,
    arg_max_null(decider_kind, weight) AS decider_kind,
    arg_max_null(decided_at, weight) AS decided_at
FROM (
    SELECT
        *,
        CASE
            WHEN verdict = 'undecided' THEN place
            WHEN decider_kind IS NULL THEN place + 3 * 288230376151711744
            WHEN verdict = 'drop' THEN 3 * 288230376151711744 - 1 - place
            ELSE place + 288230376151711744
        END AS weight
    FROM as_of.decider_verdicts
)
GROUP BY target_kind, target_id;

CREATE VIEW as_of.all_conversations AS
SELECT
    conversations.*,
    coalesce(conversations.source_class, model_classes.class, 'unknown') AS class,
    current_sources.name AS source,
    nullif(latest_decisions.verdict, 'undecided') AS verdict,
    latest_decisions.reason AS verdict_reason,
    superseded.derived_from IS NULL AND coalesce(latest_decisions.verdict, 'keep') <> 'drop' AS is_current
FROM as_of.conversations AS conversations
LEFT JOIN as_of.model_classes AS model_classes
    ON conversations.model = model_classes.model
LEFT JOIN as_of.current_sources AS current_sources
    ON conversations.source_id = current_sources.source_id
LEFT JOIN as_of.latest_decisions AS latest_decisions
    ON latest_decisions.target_kind = 'conversation'
    AND latest_decisions.target_id = conversations.conversation_id
LEFT JOIN (SELECT DISTINCT derived_from FROM as_of.conversations WHERE derived_from IS NOT NULL) AS superseded
    ON superseded.derived_from = conversations.conversation_id;

CREATE VIEW as_of.current_conversations AS
SELECT * EXCLUDE (is_current)
FROM as_of.all_conversations
WHERE is_current;

-- What a message was before the conversation it stands in was cleaned, turn by turn; labels stay with the old id.
CREATE VIEW as_of.message_origins AS
SELECT DISTINCT derived.message_id, origin.message_id AS origin_id
FROM (
    SELECT
        conversation_id,
        derived_from,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM as_of.conversations
    WHERE derived_step LIKE 'clean %'
) AS derived
JOIN (
    SELECT
        conversation_id,
        unnest(message_ids) AS message_id,
        generate_subscripts(message_ids, 1) AS position
    FROM as_of.conversations
) AS origin
    ON origin.conversation_id = derived.derived_from
    AND origin.position = derived.position
WHERE derived.message_id <> origin.message_id;

-- One completion per request key: a finished one wins over a failure, the first paid one over a second.
CREATE VIEW as_of.current_completions AS
SELECT completions.*
FROM as_of.completions AS completions
JOIN (
    SELECT
        request_key,
        max(if(state = 'done', 9007199254740992, 0) - (version * 1048576 + seq)) AS best
    FROM as_of.completions
    GROUP BY request_key
) AS chosen
    ON completions.request_key = chosen.request_key
    AND if(completions.state = 'done', 9007199254740992, 0) - (completions.version * 1048576 + completions.seq)
        = chosen.best;

CREATE VIEW as_of.current_ratings AS
SELECT
    response_id,
    labeler,
    template,
    scale,
    aspect,
    draw_index,
    arg_max_null(labeler_kind, version * 1048576 + seq) AS labeler_kind,
    arg_max_null(value, version * 1048576 + seq) AS value,
    arg_max_null(explanation, version * 1048576 + seq) AS explanation,
    arg_max_null(state, version * 1048576 + seq) AS state,
    arg_max_null(request_key, version * 1048576 + seq) AS request_key,
    arg_max_null(parser_version, version * 1048576 + seq) AS parser_version,
    arg_max_null(created_at, version * 1048576 + seq) AS created_at,
    arg_max_null(run_id, version * 1048576 + seq) AS run_id,
    arg_max_null(source_id, version * 1048576 + seq) AS source_id,
    arg_max_null(record_number, version * 1048576 + seq) AS record_number
FROM as_of.ratings
GROUP BY response_id, labeler, template, scale, aspect, draw_index;

-- The rating of a conversation is the mean over its assistant turns (OpenChat, Appendix G);
-- it is complete only when every turn has a rating.
CREATE VIEW as_of.conversation_ratings AS
WITH turns AS (
    SELECT
        paths.conversation_id,
        paths.message_id,
        paths.position
    FROM (
        SELECT
            conversation_id,
            unnest(message_ids) AS message_id,
            generate_subscripts(message_ids, 1) AS position
        FROM as_of.conversations
    ) AS paths
    JOIN as_of.messages AS messages
        ON messages.message_id = paths.message_id
    WHERE messages.role = 'assistant'
),
turn_counts AS (
    SELECT conversation_id, count(*) AS n_turns
    FROM turns
    GROUP BY conversation_id
),
turn_values AS (
    SELECT response_id, labeler, template, scale, aspect, avg(value) AS value
    FROM as_of.current_ratings
    WHERE state = 'done'
    GROUP BY response_id, labeler, template, scale, aspect
)
SELECT
    turns.conversation_id,
    turn_values.labeler,
    turn_values.template,
    turn_values.scale,
    turn_values.aspect,
    any_value(turn_counts.n_turns) AS n_turns,
    count(*) AS n_rated,
    avg(turn_values.value) AS mean,
    min(turn_values.value) AS min,
    arg_max(turn_values.value, turns.position) AS last,
    count(*) = any_value(turn_counts.n_turns) AS is_complete
FROM turns
JOIN turn_values
    ON turn_values.response_id = turns.message_id
JOIN turn_counts
    ON turn_counts.conversation_id = turns.conversation_id
GROUP BY
    turns.conversation_id,
    turn_values.labeler,
    turn_values.template,
    turn_values.scale,
    turn_values.aspect;

CREATE VIEW as_of.current_comparisons AS
SELECT comparisons.*
FROM as_of.comparisons AS comparisons
JOIN (
    SELECT comparison_id, max(version * 1048576 + seq) AS latest
    FROM as_of.comparisons
    GROUP BY comparison_id
) AS chosen
    ON comparisons.comparison_id = chosen.comparison_id
    AND comparisons.version * 1048576 + comparisons.seq = chosen.latest;

-- What one labeler said about two answers, all orders shown taken together: A is the answer with the smaller
-- id. A win says who is better in every order; weak: one order ties; conflict: the orders disagree. One order
-- without a verdict leaves none, and its state says why. Chosen and rejected only where somebody won.
CREATE VIEW as_of.merged_comparisons AS
WITH upright AS (
    SELECT
        *,
        (response_a_id, coalesce(policy_a, '')) <= (response_b_id, coalesce(policy_b, '')) AS is_upright,
        state IN ('win', 'weak', 'tie', 'conflict') AND signed_margin IS NOT NULL AS has_verdict
    FROM as_of.current_comparisons
    WHERE state <> 'undone'
),
merged AS (
    SELECT
        prompt_id,
        if(is_upright, response_a_id, response_b_id) AS response_a_id,
        if(is_upright, response_b_id, response_a_id) AS response_b_id,
        if(is_upright, policy_a, policy_b) AS policy_a,
        if(is_upright, policy_b, policy_a) AS policy_b,
        labeler,
        any_value(labeler_kind) AS labeler_kind,
        template,
        scale,
        draw_index,
        count(*) AS n_orders,
        avg(if(is_upright, signed_margin, 0 - signed_margin)) AS signed_margin,
        min(sign(if(is_upright, signed_margin, 0 - signed_margin))) AS least,
        max(sign(if(is_upright, signed_margin, 0 - signed_margin))) AS most,
        bool_or(signed_margin = 0) AS has_tie,
        min(state) FILTER (WHERE NOT has_verdict) AS missing,
        arg_min(source_id, version * 1048576 + seq) AS source_id,
        max(created_at) AS created_at
    FROM upright
    GROUP BY
        prompt_id,
        if(is_upright, response_a_id, response_b_id),
        if(is_upright, response_b_id, response_a_id),
        if(is_upright, policy_a, policy_b),
        if(is_upright, policy_b, policy_a),
        labeler,
        template,
        scale,
        draw_index
),
stated AS (
    SELECT
        *,
        CASE
            WHEN missing IS NOT NULL THEN missing
            WHEN most > 0 AND least < 0 THEN 'conflict'
            WHEN most = 0 AND least = 0 THEN 'tie'
            WHEN has_tie THEN 'weak'
            ELSE 'win'
        END AS state
    FROM merged
)
SELECT
    prompt_id,
    response_a_id,
    response_b_id,
    policy_a,
    policy_b,
    labeler,
    labeler_kind,
    template,
    scale,
    draw_index,
    n_orders,
    if(missing IS NULL, signed_margin, NULL) AS signed_margin,
    state,
    CASE WHEN state IN ('win', 'weak') THEN if(signed_margin > 0, response_a_id, response_b_id) END AS chosen_id,
    CASE WHEN state IN ('win', 'weak') THEN if(signed_margin > 0, response_b_id, response_a_id) END AS rejected_id,
    source_id,
    created_at
FROM stated;

-- Answers to one prompt: siblings in the tree of messages, and draws of policies.
CREATE VIEW as_of.response_sets AS
SELECT
    prompt_id,
    response_id,
    sum(n_draws)::BIGINT AS n_draws,
    string_agg(DISTINCT origin, ', ' ORDER BY origin) AS source
FROM (
    SELECT
        messages.parent_id AS prompt_id,
        messages.message_id AS response_id,
        0 AS n_draws,
        'conversation' AS origin
    FROM as_of.messages AS messages
    WHERE messages.role = 'assistant' AND messages.parent_id IS NOT NULL
        AND (
            messages.message_id NOT IN (SELECT response_id FROM as_of.samples)
            OR messages.message_id IN (SELECT unnest(message_ids) FROM as_of.conversations)
        )
    UNION ALL
    SELECT prompt_id, response_id, count(*) AS n_draws, policy AS origin
    FROM as_of.samples
    GROUP BY prompt_id, response_id, policy
)
GROUP BY prompt_id, response_id;

-- The latest number each reward model gave a response.
CREATE VIEW as_of.current_rewards AS
SELECT
    prompt_id,
    response_id,
    reward_model,
    revision,
    arg_max_null(value, version * 1048576 + seq) AS value,
    arg_max_null(n_tokens, version * 1048576 + seq) AS n_tokens,
    arg_max_null(is_truncated, version * 1048576 + seq) AS is_truncated,
    arg_max_null(state, version * 1048576 + seq) AS state,
    arg_max_null(source_id, version * 1048576 + seq) AS source_id,
    arg_max_null(record_number, version * 1048576 + seq) AS record_number
FROM as_of.rewards
GROUP BY prompt_id, response_id, reward_model, revision;

-- Batches with the last value that each of their rows gave.
CREATE VIEW as_of.current_batches AS
SELECT
    batch_id,
    arg_max(provider, version * 1048576 + seq) AS provider,
    arg_max(base_url, version * 1048576 + seq) AS base_url,
    arg_max(model, version * 1048576 + seq) AS model,
    arg_max(task, version * 1048576 + seq) AS task,
    arg_max(settings, version * 1048576 + seq) AS settings,
    arg_max(price, version * 1048576 + seq) AS price,
    arg_max(n_requests, version * 1048576 + seq) AS n_requests,
    arg_max(n_bytes, version * 1048576 + seq) AS n_bytes,
    arg_max(most_usd, version * 1048576 + seq) AS most_usd,
    arg_max(state, version * 1048576 + seq) AS state,
    arg_max(sent_at, version * 1048576 + seq) AS sent_at,
    arg_max(input_file_id, version * 1048576 + seq) AS input_file_id,
    arg_max(provider_batch_id, version * 1048576 + seq) AS provider_batch_id,
    arg_max(provider_status, version * 1048576 + seq) AS provider_status,
    arg_max(provider_counts, version * 1048576 + seq) AS provider_counts,
    arg_max(reason, version * 1048576 + seq) AS reason,
    min(noted_at) AS created_at,
    max(noted_at) AS noted_at,
    arg_min(run_id, version * 1048576 + seq) AS run_id
FROM as_of.batches
GROUP BY batch_id;

-- Requests that a provider may be working on: nobody else may ask them.
CREATE VIEW as_of.open_batch_requests AS
SELECT requests.batch_id, requests.request_key
FROM as_of.batch_requests AS requests
JOIN as_of.current_batches AS batches
    ON requests.batch_id = batches.batch_id
WHERE batches.state IN ('intended', 'sending', 'submitted');
-- Every message that has answers, with how many different ones, and how many draws of policies.
CREATE VIEW as_of.prompts AS
SELECT
    messages.parent_id AS prompt_id,
    count(*) AS n_responses,
    coalesce(any_value(draws.n_draws), 0) AS n_draws
FROM as_of.messages AS messages
LEFT JOIN (SELECT prompt_id, count(*) AS n_draws FROM as_of.samples GROUP BY prompt_id) AS draws
    ON draws.prompt_id = messages.parent_id
WHERE messages.role = 'assistant' AND messages.parent_id IS NOT NULL
GROUP BY messages.parent_id;

-- Responses by the rewards of each model, 1 the best; equal rewards in the order of ids. `label rank` and
-- `label pairs` rank by penalties, ensembles and ratings too, and know ties.
CREATE VIEW as_of.ranked_responses AS
SELECT
    prompt_id,
    response_id,
    reward_model,
    revision,
    value,
    row_number() OVER (
        PARTITION BY prompt_id, reward_model, revision
        ORDER BY value DESC, response_id
    ) AS rank,
    is_truncated
FROM as_of.current_rewards
WHERE state = 'done' AND value IS NOT NULL;
