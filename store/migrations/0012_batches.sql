-- Requests handed to a provider's batch interface. A later row of a batch says what changed: NULL keeps what an
-- earlier one said. The first, `intended`, is committed with the batch's requests before anything is sent.
CREATE TABLE batches (
    batch_id VARCHAR NOT NULL,
    provider VARCHAR,
    base_url VARCHAR,
    model VARCHAR,
    task VARCHAR,
    settings VARCHAR,
    price VARCHAR,
    n_requests BIGINT,
    n_bytes BIGINT,
    most_usd DOUBLE,
    state VARCHAR NOT NULL,
    sent_at TIMESTAMP,
    input_file_id VARCHAR,
    provider_batch_id VARCHAR,
    provider_status VARCHAR,
    provider_counts VARCHAR,
    reason VARCHAR,
    noted_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

-- `n_bytes` of the prompt and `max_tokens` of the reply bound what the request can cost.
CREATE TABLE batch_requests (
    batch_id VARCHAR NOT NULL,
    request_key UUID NOT NULL,
    n_bytes BIGINT NOT NULL,
    max_tokens BIGINT NOT NULL,
    version BIGINT NOT NULL
);

-- `again`: it has no answer and may be asked again.
CREATE TABLE batch_outcomes (
    batch_id VARCHAR NOT NULL,
    request_key UUID NOT NULL,
    state VARCHAR NOT NULL,
    reason VARCHAR,
    version BIGINT NOT NULL
);
