-- Questions with a known answer that were put to a judge beside the real ones: no labels, and kept apart from
-- them. `expected` is the side that is better, or `high` or `low` of a rating.
CREATE TABLE canaries (
    canary VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    question VARCHAR NOT NULL,
    labeler VARCHAR NOT NULL,
    template VARCHAR NOT NULL,
    scale VARCHAR NOT NULL,
    aspect VARCHAR NOT NULL,
    expected VARCHAR NOT NULL,
    given VARCHAR,
    state VARCHAR NOT NULL,
    is_passed BOOLEAN NOT NULL,
    explanation VARCHAR USING COMPRESSION zstd,
    request_key UUID NOT NULL,
    parser_version VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);
