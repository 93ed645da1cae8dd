-- Who wrote the two answers, where the labels' source says so. Equal texts share a response id, so the id
-- alone cannot tell two policies apart that gave the same answer.
ALTER TABLE comparisons ADD COLUMN policy_a VARCHAR;
ALTER TABLE comparisons ADD COLUMN policy_b VARCHAR;
