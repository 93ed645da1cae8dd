-- A policy's first draw under each prompt of a selection; no instruction where turns stand before the prompt.
SELECT
    if(prompts.parent_id IS NULL, prompts.content, NULL) AS instruction,
    responses.content AS output
FROM samples
JOIN messages AS prompts
    ON prompts.message_id = samples.prompt_id
JOIN messages AS responses
    ON responses.message_id = samples.response_id
WHERE samples.policy = $policy
    AND samples.prompt_id IN (
        SELECT prompt_id FROM selection_prompts WHERE selection_id = CAST($selection AS UUID)
    )
QUALIFY row_number() OVER (PARTITION BY samples.prompt_id ORDER BY samples.sample_index) = 1
ORDER BY samples.prompt_id
