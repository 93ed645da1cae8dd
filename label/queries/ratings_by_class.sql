-- Mean rating of the conversations of each class by one labeler; the mean is over complete conversations.
SELECT
    conversations.class AS name,
    count(*) FILTER (WHERE ratings.is_complete) AS complete,
    count(*) FILTER (WHERE NOT ratings.is_complete) AS partial,
    avg(ratings.mean) FILTER (WHERE ratings.is_complete) AS mean_rating
FROM conversation_ratings AS ratings
JOIN current_conversations AS conversations
    ON conversations.conversation_id = ratings.conversation_id
WHERE ratings.labeler = $labeler
    AND ratings.template = $template
    AND ratings.scale = $scale
    AND ratings.aspect = $aspect
GROUP BY conversations.class
ORDER BY conversations.class
