-- Who gave answers: policies that were sampled, and the models of conversations.
SELECT DISTINCT policy
FROM samples
UNION
SELECT DISTINCT model
FROM current_conversations
WHERE model <> ''
ORDER BY 1
