-- Who has labels that were read from an answer.
SELECT labeler
FROM ratings
WHERE request_key IS NOT NULL
UNION
SELECT labeler
FROM comparisons
WHERE request_key IS NOT NULL
