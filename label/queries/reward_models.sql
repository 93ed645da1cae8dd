-- The reward models there are, each revision by itself where there are several.
SELECT if(count(*) OVER (PARTITION BY reward_model) = 1, reward_model, reward_model || '@' || revision) AS labeler
FROM (
    SELECT DISTINCT
        reward_model,
        revision
    FROM rewards
    WHERE value IS NOT NULL
)
ORDER BY 1
