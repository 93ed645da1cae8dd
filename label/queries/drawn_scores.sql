-- The scored rows (`scored_rows`) that the policy $policy gave, a row a draw; an answer of a conversation is one
-- draw, unless the policy was sampled and drew it too.
WITH drawn AS (
    SELECT response_id
    FROM samples
    WHERE policy = $policy
),
written AS (
    SELECT DISTINCT unnest(message_ids) AS response_id
    FROM current_conversations
    WHERE model = $policy
)
SELECT scored_rows.prompt_id, scored_rows.response_id, scored_rows.score
FROM scored_rows
JOIN (
    SELECT response_id
    FROM drawn
    UNION ALL
    SELECT response_id
    FROM written
    WHERE response_id NOT IN (SELECT response_id FROM drawn)
) AS given
    ON given.response_id = scored_rows.response_id
