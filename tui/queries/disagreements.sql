-- The pairs of the table `opinions`, of one range of prompts, about which there are two opinions: orders that
-- disagree, labelers that disagree, or a labeler and a reward model.
WITH said AS (
    SELECT
        CAST(prompt_id AS UUID) AS prompt_id,
        CAST(first_id AS UUID) AS first_id,
        CAST(second_id AS UUID) AS second_id,
        has_conflict,
        least,
        most
    FROM opinions
    WHERE CAST(prompt_id AS UUID) BETWEEN $low::UUID AND $high::UUID
),
scores AS (
    SELECT
        prompt_id,
        response_id,
        reward_model,
        revision,
        arg_max_null(value, version * 1048576 + seq) AS value
    FROM rewards
    WHERE prompt_id BETWEEN $low::UUID AND $high::UUID
        AND response_id IN (SELECT first_id FROM said UNION ALL SELECT second_id FROM said)
    GROUP BY prompt_id, response_id, reward_model, revision
),
scored AS (
    SELECT
        said.*,
        min(sign(first.value - second.value)) AS least_reward,
        max(sign(first.value - second.value)) AS most_reward
    FROM said
    LEFT JOIN scores AS first
        ON first.prompt_id = said.prompt_id AND first.response_id = said.first_id
    LEFT JOIN scores AS second
        ON second.prompt_id = said.prompt_id AND second.response_id = said.second_id
        AND second.reward_model = first.reward_model AND second.revision = first.revision
    GROUP BY ALL
)
SELECT CAST(prompt_id AS VARCHAR), CAST(first_id AS VARCHAR), CAST(second_id AS VARCHAR)
FROM scored
WHERE has_conflict OR least(least, least_reward) * greatest(most, most_reward) < 0
