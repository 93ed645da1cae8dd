-- What reward models say of responses, and named choices of prompts, conversations and pairs.

-- `prompt_id` is the response's parent, kept here because every use of rewards goes prompt by prompt.
-- `revision` tells apart what would make the number another one (weights, template, precision, length bound);
-- 'imported' where a file brought the number.
CREATE TABLE rewards (
    prompt_id UUID NOT NULL,
    response_id UUID NOT NULL,
    reward_model VARCHAR NOT NULL,
    revision VARCHAR NOT NULL,
    value FLOAT,
    n_tokens INTEGER,
    is_truncated BOOLEAN,
    state VARCHAR NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

-- `steps` counts what each step of the rule took and left, so that a choice can be audited without repeating it.
CREATE TABLE selections (
    selection_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    settings VARCHAR NOT NULL,
    at_version BIGINT NOT NULL,
    steps VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

-- `part` names one of several disjoint parts (train, validation; I, II, III), NULL where there is only one.
CREATE TABLE selection_prompts (
    selection_id UUID NOT NULL,
    prompt_id UUID NOT NULL,
    part VARCHAR,
    version BIGINT NOT NULL
);

CREATE TABLE selection_conversations (
    selection_id UUID NOT NULL,
    conversation_id UUID NOT NULL,
    part VARCHAR,
    version BIGINT NOT NULL
);

CREATE TABLE selection_pairs (
    selection_id UUID NOT NULL,
    prompt_id UUID NOT NULL,
    chosen_id UUID NOT NULL,
    rejected_id UUID NOT NULL,
    score_chosen DOUBLE,
    score_rejected DOUBLE,
    score_gap DOUBLE,
    rank_chosen INTEGER,
    rank_rejected INTEGER,
    strength VARCHAR,
    part VARCHAR,
    version BIGINT NOT NULL
);
