-- What a policy drew under the prompts of a selection.
SELECT
    count(DISTINCT samples.prompt_id) AS prompts,
    count(*) AS draws,
    avg(length(messages.content)) AS characters
FROM samples
JOIN messages
    ON messages.message_id = samples.response_id
WHERE samples.policy = $policy
    AND samples.prompt_id IN (
        SELECT prompt_id FROM selection_prompts WHERE selection_id = CAST($selection AS UUID)
    )
