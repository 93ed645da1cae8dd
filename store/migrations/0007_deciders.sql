-- Rules decide beside people: who is which, and how far each rule has looked.

-- NULL is a person, who outweighs every rule; otherwise the kind of rule: filter, dedup, decontaminate.
ALTER TABLE decisions ADD COLUMN decider_kind VARCHAR;

-- One row for each time a rule had looked at every conversation up to `to_version`; the latest row of a decider
-- says what it need not look at again. `settings` tells apart what would decide otherwise.
CREATE TABLE screenings (
    decider VARCHAR NOT NULL,
    decided_by VARCHAR NOT NULL,
    settings VARCHAR NOT NULL,
    to_version BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    kept BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    reasons VARCHAR NOT NULL,
    run_id VARCHAR,
    version BIGINT NOT NULL,
    seq INTEGER NOT NULL
);
