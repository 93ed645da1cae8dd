-- Every table is append-only; every row carries the version that wrote it.
-- `seq` counts rows inside one version where a later row replaces an earlier one.

CREATE TABLE versions (
    version BIGINT NOT NULL,
    run_id VARCHAR,
    committed_at TIMESTAMP NOT NULL,
    rows_by_table VARCHAR NOT NULL
);

CREATE TABLE runs (
    run_id VARCHAR NOT NULL,
    command VARCHAR NOT NULL,
    settings VARCHAR NOT NULL,
    software_version VARCHAR NOT NULL,
    host VARCHAR NOT NULL,
    pid BIGINT NOT NULL,
    state VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    counts VARCHAR,
    prompt_tokens BIGINT,
    completion_tokens BIGINT,
    cost_usd DOUBLE,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE snapshots (
    name VARCHAR NOT NULL,
    at_version BIGINT NOT NULL,
    note VARCHAR NOT NULL,
    open_runs VARCHAR[] NOT NULL,
    created_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE sources (
    source_id UUID NOT NULL,
    name VARCHAR NOT NULL,
    reader VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    license VARCHAR,
    settings VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    records_read BIGINT NOT NULL,
    records_kept BIGINT NOT NULL,
    records_rejected BIGINT NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE rejects (
    source_id UUID NOT NULL,
    sha256 VARCHAR NOT NULL,
    record_number BIGINT NOT NULL,
    line BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    excerpt VARCHAR NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE source_classes (
    name VARCHAR NOT NULL,
    condition VARCHAR,
    reward DOUBLE,
    weight DOUBLE,
    patterns VARCHAR[] NOT NULL,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE messages (
    message_id UUID NOT NULL,
    parent_id UUID,
    role VARCHAR NOT NULL,
    content VARCHAR NOT NULL USING COMPRESSION zstd,
    depth INTEGER NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE conversations (
    conversation_id UUID NOT NULL,
    leaf_id UUID NOT NULL,
    message_ids UUID[] NOT NULL,
    source_id UUID NOT NULL,
    record_numbers BIGINT[] NOT NULL,
    line BIGINT NOT NULL,
    byte_offset BIGINT NOT NULL,
    reader VARCHAR NOT NULL,
    external_id VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    occurrence INTEGER NOT NULL,
    source_class VARCHAR,
    language VARCHAR,
    metadata VARCHAR,
    derived_from UUID,
    derived_step VARCHAR,
    version BIGINT NOT NULL
);

CREATE TABLE decisions (
    target_kind VARCHAR NOT NULL,
    target_id UUID NOT NULL,
    verdict VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    evidence VARCHAR,
    decided_by VARCHAR NOT NULL,
    decided_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE samples (
    prompt_id UUID NOT NULL,
    response_id UUID NOT NULL,
    sample_index INTEGER NOT NULL,
    policy VARCHAR NOT NULL,
    sampling VARCHAR NOT NULL,
    seed BIGINT,
    finish_reason VARCHAR NOT NULL,
    n_tokens INTEGER,
    run_id VARCHAR,
    version BIGINT NOT NULL
);

CREATE TABLE completions (
    request_key UUID NOT NULL,
    provider VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    model_returned VARCHAR,
    request_id VARCHAR,
    state VARCHAR NOT NULL,
    reply VARCHAR USING COMPRESSION zstd,
    error VARCHAR,
    finish_reason VARCHAR,
    prompt_tokens BIGINT,
    cached_tokens BIGINT,
    completion_tokens BIGINT,
    cost_usd DOUBLE,
    price VARCHAR,
    attempts INTEGER NOT NULL,
    elapsed_s DOUBLE NOT NULL,
    created_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE ratings (
    response_id UUID NOT NULL,
    labeler VARCHAR NOT NULL,
    labeler_kind VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    scale VARCHAR NOT NULL,
    aspect VARCHAR NOT NULL,
    draw_index INTEGER NOT NULL,
    value DOUBLE,
    explanation VARCHAR USING COMPRESSION zstd,
    state VARCHAR NOT NULL,
    request_key UUID,
    parser_version VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE comparisons (
    comparison_id UUID NOT NULL,
    prompt_id UUID NOT NULL,
    response_a_id UUID NOT NULL,
    response_b_id UUID NOT NULL,
    labeler VARCHAR NOT NULL,
    labeler_kind VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    scale VARCHAR NOT NULL,
    draw_index INTEGER NOT NULL,
    native_label VARCHAR,
    signed_margin DOUBLE,
    acceptable_a BOOLEAN,
    acceptable_b BOOLEAN,
    explanation VARCHAR USING COMPRESSION zstd,
    state VARCHAR NOT NULL,
    seconds DOUBLE,
    shown_text_hash VARCHAR,
    guideline_version VARCHAR,
    request_key UUID,
    parser_version VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE marks (
    target_kind VARCHAR NOT NULL,
    target_id UUID NOT NULL,
    mark VARCHAR NOT NULL,
    note VARCHAR,
    annotator VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);

CREATE TABLE exports (
    export_id UUID NOT NULL,
    recipe VARCHAR NOT NULL,
    layout VARCHAR NOT NULL,
    settings VARCHAR NOT NULL,
    at_version BIGINT NOT NULL,
    snapshot VARCHAR,
    path VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    row_count BIGINT NOT NULL,
    steps VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL
);

CREATE TABLE export_rows (
    export_id UUID NOT NULL,
    row_number BIGINT NOT NULL,
    conversation_id UUID NOT NULL,
    message_ids UUID[] NOT NULL,
    source_class VARCHAR NOT NULL,
    version BIGINT NOT NULL
);

CREATE TABLE journal_drains (
    journal VARCHAR NOT NULL,
    drained_to BIGINT NOT NULL,
    version BIGINT NOT NULL
);
