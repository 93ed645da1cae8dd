-- How many labels there are that were read from an answer.
SELECT
    (SELECT count(*) FROM ratings WHERE request_key IS NOT NULL)
    + (SELECT count(*) FROM comparisons WHERE request_key IS NOT NULL) AS labels
