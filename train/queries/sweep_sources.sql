-- Sources that have current conversations, none of which holds a prompt of the selection $prompts (NULL: no matter).
SELECT source
FROM current_conversations
GROUP BY source
HAVING NOT coalesce(
    bool_or(
        list_has_any(
            message_ids,
            (
                SELECT list(prompt_id)
                FROM selection_prompts
                WHERE selection_id = CAST($prompts AS UUID)
            )
        )
    ),
    FALSE
)
ORDER BY source
