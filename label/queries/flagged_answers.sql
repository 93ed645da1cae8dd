-- Answers that were judged and speak to a judge, with the patterns they match. $labelers: judged by these, NULL
-- for anybody.
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
matched AS (
    SELECT
        message_id,
        list_filter(
            [
                CASE WHEN regexp_matches(content, $verdict) THEN 'verdict' END,
                CASE WHEN regexp_matches(content, $fence) THEN 'fence' END,
                CASE WHEN regexp_matches(content, $override) THEN 'override' END,
                CASE WHEN regexp_matches(content, $appeal) THEN 'appeal' END,
                CASE WHEN regexp_matches(content, $control) THEN 'control' END
            ],
            LAMBDA flag: flag IS NOT NULL
        ) AS flags
    FROM messages
    WHERE message_id IN (SELECT response_id FROM judged) AND regexp_matches(content, $any)
)
SELECT
    CAST(message_id AS VARCHAR),
    flags
FROM matched
WHERE len(flags) > 0
ORDER BY 1
