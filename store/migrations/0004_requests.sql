-- What was asked, without its texts: enough to say which of two requests differ in what, and which request
-- repaired which. One row for each time a request was sent to its end; the rows of one key are alike.
CREATE TABLE requests (
    request_key UUID NOT NULL,
    key_version INTEGER NOT NULL,
    provider VARCHAR NOT NULL,
    base_url VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    api_version VARCHAR NOT NULL,
    messages VARCHAR[] NOT NULL,
    response_schema VARCHAR,
    sampling VARCHAR NOT NULL,
    sample_index INTEGER NOT NULL,
    repair_index INTEGER NOT NULL,
    repairs UUID,
    created_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL
);
