-- Every comparison in force, with who wrote what was compared: as its labels' source says, else the policy
-- that drew it, else the model of the conversations it stands in.
WITH compared AS (
    SELECT response_a_id AS response_id
    FROM current_comparisons
    UNION
    SELECT response_b_id
    FROM current_comparisons
),
drawn AS (
    SELECT
        response_id,
        string_agg(DISTINCT policy, ' = ' ORDER BY policy) AS author
    FROM samples
    WHERE response_id IN (SELECT response_id FROM compared)
    GROUP BY response_id
),
written AS (
    SELECT
        turns.response_id,
        string_agg(DISTINCT turns.model, ' = ' ORDER BY turns.model) AS author
    FROM (
        SELECT
            model,
            unnest(message_ids) AS response_id
        FROM conversations
        WHERE model <> ''
    ) AS turns
    WHERE turns.response_id IN (SELECT response_id FROM compared)
    GROUP BY turns.response_id
),
authors AS (
    SELECT
        compared.response_id,
        coalesce(drawn.author, written.author) AS author
    FROM compared
    LEFT JOIN drawn
        ON drawn.response_id = compared.response_id
    LEFT JOIN written
        ON written.response_id = compared.response_id
)
SELECT
    CAST(comparisons.prompt_id AS VARCHAR),
    CAST(comparisons.response_a_id AS VARCHAR),
    CAST(comparisons.response_b_id AS VARCHAR),
    coalesce(comparisons.policy_a, author_a.author),
    coalesce(comparisons.policy_b, author_b.author),
    comparisons.labeler,
    comparisons.labeler_kind,
    comparisons.template,
    comparisons.scale,
    comparisons.draw_index,
    comparisons.signed_margin,
    comparisons.state,
    comparisons.acceptable_a,
    comparisons.acceptable_b,
    comparisons.created_at
FROM current_comparisons AS comparisons
LEFT JOIN authors AS author_a
    ON author_a.response_id = comparisons.response_a_id
LEFT JOIN authors AS author_b
    ON author_b.response_id = comparisons.response_b_id
WHERE comparisons.state <> 'undone'
ORDER BY comparisons.created_at, comparisons.version, comparisons.seq
