-- For each labeler, verdicts that a later one of theirs on the same answers replaced.
SELECT
    labeler,
    count(*) - count(DISTINCT comparison_id) AS replaced
FROM comparisons
GROUP BY labeler
