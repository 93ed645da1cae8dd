-- The different responses of a prompt, with how often and by whom each was drawn or written.
SELECT
    CAST(answers.response_id AS VARCHAR) AS response_id,
    sum(answers.draws)::INTEGER AS n_draws,
    string_agg(DISTINCT answers.policy, ', ' ORDER BY answers.policy) AS policies,
    max(answers.n_tokens) AS n_tokens
FROM (
    SELECT message_id AS response_id, 0 AS draws, NULL AS policy, NULL AS n_tokens
    FROM messages
    WHERE role = 'assistant' AND parent_id = $id::UUID
    UNION ALL
    SELECT response_id, count(*) AS draws, policy, max(n_tokens) AS n_tokens
    FROM samples
    WHERE prompt_id = $id::UUID
    GROUP BY response_id, policy
) AS answers
GROUP BY answers.response_id
ORDER BY response_id
