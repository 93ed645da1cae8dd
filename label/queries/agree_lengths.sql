-- How long the judged answers are: characters, and different words or signs without regard to case; and
-- how many different prompts have this very text as an answer. $labelers: judged by these, NULL for anybody.
WITH judged AS (
    SELECT response_a_id AS response_id
    FROM current_comparisons
    WHERE $labelers IS NULL OR list_contains(CAST($labelers AS VARCHAR[]), labeler)
    UNION
    SELECT response_b_id
    FROM current_comparisons
    WHERE $labelers IS NULL OR list_contains(CAST($labelers AS VARCHAR[]), labeler)
    UNION
    SELECT response_id
    FROM current_ratings
    WHERE $labelers IS NULL OR list_contains(CAST($labelers AS VARCHAR[]), labeler)
),
answers AS (
    SELECT
        messages.message_id,
        messages.parent_id,
        messages.content
    FROM messages
    WHERE messages.message_id IN (SELECT response_id FROM judged)
)
SELECT
    CAST(message_id AS VARCHAR),
    length(content),
    len(list_distinct(regexp_extract_all(lower(content), '[\p{L}\p{N}_]+|[^\p{L}\p{N}_\s]'))),
    CAST(count(*) OVER (PARTITION BY content) AS INTEGER)
FROM answers
