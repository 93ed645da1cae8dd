-- How many conversations of one range of ids have which mean rating, by labeler, scale and class, and the sum of the
-- means. A conversation counts once each of its answers is rated (view conversation_ratings, which reads everything).
WITH chosen AS (
    SELECT conversation_id, class, message_ids
    FROM current_conversations
    WHERE conversation_id BETWEEN $low::UUID AND $high::UUID
),
turns AS (
    SELECT conversation_id, class, unnest(message_ids) AS message_id
    FROM chosen
),
draws AS (
    SELECT
        response_id,
        labeler,
        template,
        scale,
        aspect,
        draw_index,
        arg_max_null(value, version * 1048576 + seq) AS value,
        arg_max_null(state, version * 1048576 + seq) AS state
    FROM ratings
    WHERE response_id IN (SELECT message_id FROM turns)
    GROUP BY response_id, labeler, template, scale, aspect, draw_index
),
rated AS (
    SELECT response_id, labeler, template, scale, aspect, avg(value) AS value
    FROM draws
    WHERE state = 'done'
    GROUP BY response_id, labeler, template, scale, aspect
),
answers AS (
    SELECT turns.conversation_id, count(*) AS n_answers
    FROM turns
    JOIN messages
        ON messages.message_id = turns.message_id
    WHERE messages.role = 'assistant'
    GROUP BY turns.conversation_id
),
means AS (
    SELECT
        turns.conversation_id,
        turns.class,
        rated.labeler,
        rated.template,
        rated.scale,
        rated.aspect,
        count(*) AS n_rated,
        avg(rated.value) AS mean
    FROM turns
    JOIN rated
        ON rated.response_id = turns.message_id
    GROUP BY ALL
)
SELECT
    means.labeler,
    means.template,
    means.scale,
    means.aspect,
    means.class,
    round(means.mean * 2) / 2 AS rating,
    count(*) AS conversations,
    sum(means.mean) AS total
FROM means
JOIN answers
    ON answers.conversation_id = means.conversation_id
    AND answers.n_answers = means.n_rated
GROUP BY ALL
