-- Pairs about which there are two opinions: orders that disagree, labelers that disagree, or a labeler and a
-- reward model. Without what the annotator said.
WITH said AS (
    SELECT prompt_id, response_a_id, response_b_id, state, signed_margin
    FROM merged_comparisons
    WHERE state IN ('win', 'weak', 'tie', 'conflict')
        AND template NOT LIKE '%-seen'
        AND NOT (labeler_kind = 'person' AND labeler = $annotator)
),
opinions AS (
    SELECT
        prompt_id,
        response_a_id,
        response_b_id,
        bool_or(state = 'conflict') AS has_conflict,
        min(sign(signed_margin)) AS least,
        max(sign(signed_margin)) AS most
    FROM said
    GROUP BY prompt_id, response_a_id, response_b_id
),
scored AS (
    SELECT
        opinions.*,
        min(sign(first.value - second.value)) AS least_reward,
        max(sign(first.value - second.value)) AS most_reward
    FROM opinions
    LEFT JOIN current_rewards AS first
        ON first.prompt_id = opinions.prompt_id AND first.response_id = opinions.response_a_id
    LEFT JOIN current_rewards AS second
        ON second.prompt_id = opinions.prompt_id AND second.response_id = opinions.response_b_id
        AND second.reward_model = first.reward_model AND second.revision = first.revision
    GROUP BY ALL
)
SELECT CAST(prompt_id AS VARCHAR), CAST(response_a_id AS VARCHAR), CAST(response_b_id AS VARCHAR)
FROM scored
WHERE (has_conflict OR least(least, least_reward) * greatest(most, most_reward) < 0)
    AND response_a_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
    AND response_b_id IN (SELECT message_id FROM messages WHERE parent_id = prompt_id)
