-- What duplicates are found by, kept so that new data is compared with old without reading the old texts again.

-- One row for each conversation, part of it (`prompts`, `answers`, `conversations`) and method, whose name holds
-- all its settings. `text_hash` is that of the part without white space; `bands` hash runs of a min-hash and
-- `digest` holds a byte of each of its values, or the vector of an encoder in half precision.
CREATE TABLE sketches (
    conversation_id UUID NOT NULL,
    part VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    text_hash UUID NOT NULL,
    n_bytes BIGINT NOT NULL,
    n_shingles BIGINT,
    bands UBIGINT[],
    digest BLOB,
    version BIGINT NOT NULL
);

-- Texts that were compared in full, the smaller hash first, and what came of it.
CREATE TABLE compared_texts (
    method VARCHAR NOT NULL,
    text_hash_a UUID NOT NULL,
    text_hash_b UUID NOT NULL,
    score DOUBLE NOT NULL,
    version BIGINT NOT NULL
);
