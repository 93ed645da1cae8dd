-- What an annotator did on one scale and took back, in its order: votes as they were cast, undone votes as rows
-- without a verdict, and marks that leave pairs out or take them in again.
SELECT *
FROM (
    SELECT
        CAST(comparison_id AS VARCHAR) AS comparison_id,
        state,
        CAST(prompt_id AS VARCHAR) AS prompt_id,
        CAST(response_a_id AS VARCHAR) AS response_a_id,
        CAST(response_b_id AS VARCHAR) AS response_b_id,
        template,
        native_label,
        acceptable_a,
        acceptable_b,
        explanation,
        seconds,
        shown_text_hash,
        guideline_version,
        version,
        created_at
    FROM comparisons
    WHERE labeler = $annotator AND labeler_kind = 'person' AND scale = $scale
    UNION ALL BY NAME
    SELECT CAST(target_id AS VARCHAR) AS comparison_id, mark AS state, note AS explanation, version, created_at
    FROM marks
    WHERE target_kind = 'comparison' AND annotator = $annotator AND mark IN ('skip', 'unskip')
)
ORDER BY version, created_at
