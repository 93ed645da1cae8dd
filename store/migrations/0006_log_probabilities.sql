-- The likeliest first tokens of an answer with their log-probabilities, as JSON [[token, logprob], …]; kept
-- where a verdict is read from them, so that it can be read again without asking.
ALTER TABLE completions ADD COLUMN logprobs VARCHAR;
