-- Mean rating of each conversation of some versions, by one labeler: latest value of each draw, mean of a
-- turn's draws, mean over the turns rated; and how many assistant turns there are.
WITH chosen AS (
    SELECT conversation_id, message_ids
    FROM conversations
    WHERE version BETWEEN $first AND $last
),
turns AS (
    SELECT conversation_id, unnest(message_ids) AS message_id
    FROM chosen
),
draws AS (
    SELECT
        response_id,
        draw_index,
        arg_max(value, version * 1048576 + seq) AS value,
        arg_max(state, version * 1048576 + seq) AS state
    FROM ratings
    WHERE labeler = $labeler AND template = $template AND scale = $scale AND aspect = $aspect
        AND response_id IN (SELECT message_id FROM turns)
    GROUP BY response_id, draw_index
),
rated AS (
    SELECT response_id, avg(value) AS value
    FROM draws
    WHERE state = 'done'
    GROUP BY response_id
),
means AS (
    SELECT turns.conversation_id, count(*) AS n_rated, avg(rated.value) AS rating
    FROM turns
    JOIN rated
        ON rated.response_id = turns.message_id
    GROUP BY turns.conversation_id
),
answers AS (
    SELECT turns.conversation_id, count(*) AS n_answers
    FROM turns
    JOIN messages
        ON messages.message_id = turns.message_id
    WHERE messages.role = 'assistant' AND messages.version <= $last
    GROUP BY turns.conversation_id
)
SELECT
    CAST(means.conversation_id AS BLOB) AS id,
    means.n_rated::INTEGER AS n_rated,
    answers.n_answers::INTEGER AS n_answers,
    means.rating AS rating
FROM means
JOIN answers
    ON answers.conversation_id = means.conversation_id
