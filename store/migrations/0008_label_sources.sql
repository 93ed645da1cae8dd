-- The record of the file that a label was read from; NULL where it was made here, by a run.
ALTER TABLE comparisons ADD COLUMN source_id UUID;
ALTER TABLE comparisons ADD COLUMN record_number BIGINT;
ALTER TABLE ratings ADD COLUMN source_id UUID;
ALTER TABLE ratings ADD COLUMN record_number BIGINT;
ALTER TABLE samples ADD COLUMN source_id UUID;
ALTER TABLE samples ADD COLUMN record_number BIGINT;
ALTER TABLE rewards ADD COLUMN source_id UUID;
ALTER TABLE rewards ADD COLUMN record_number BIGINT;
