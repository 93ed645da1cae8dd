-- The scored rows (`scored_rows`) that nobody is known to have given.
SELECT scored_rows.prompt_id, scored_rows.response_id, scored_rows.score
FROM scored_rows
ANTI JOIN samples
    ON samples.response_id = scored_rows.response_id
ANTI JOIN (
    SELECT unnest(message_ids) AS response_id
    FROM current_conversations
    WHERE model <> ''
) AS written
    ON written.response_id = scored_rows.response_id
