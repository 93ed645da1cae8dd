-- A training row may be made from a prompt and answers that belong to no conversation: draws of a policy.
-- Its `message_ids` are then the prompt's path and the answers.
ALTER TABLE export_rows ALTER COLUMN conversation_id DROP NOT NULL;
ALTER TABLE export_rows ALTER COLUMN source_class DROP NOT NULL;
