-- Draws that a policy did not make, and why: a prompt too long for it, an answer held back. One row for each
-- reason that a prompt met under a policy and its sampling parameters, however often it was asked for.
CREATE TABLE sample_rejects (
    prompt_id UUID NOT NULL,
    policy VARCHAR NOT NULL,
    sampling VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL
);
