-- Responses of which every draw ended at the length bound.
WITH cut AS (
    SELECT DISTINCT response_id
    FROM samples
    WHERE finish_reason = 'length'
)
SELECT response_id
FROM cut
WHERE response_id NOT IN (
    SELECT samples.response_id
    FROM samples
    SEMI JOIN cut
        ON samples.response_id = cut.response_id
    WHERE samples.finish_reason <> 'length'
)
