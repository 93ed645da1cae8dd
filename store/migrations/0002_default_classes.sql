-- OpenChat, section 3 and Appendix: two classes, the expert weighted 1.0 and the sub-optimal 0.1.
-- Version 0 is the state before the first commit. A label that matches nothing stays unknown.
INSERT INTO source_classes VALUES
    ('GPT4', 'GPT4', NULL, 1.0, ['gpt-4', 'gpt4', 'gpt-4-*', 'gpt-4o*', 'gpt-4.?*', 'gpt4_*', 'gpt-4 *', 'model: gpt-4*', 'openai/gpt-4*'], 0, 0),
    ('GPT3', 'GPT3', NULL, 0.1, ['gpt-3.5*', 'gpt-35-*', 'gpt35_*', 'gpt3.5*', 'default (gpt-3.5)', 'legacy (gpt-3.5)', 'model: default (gpt-3.5)', 'model: legacy (gpt-3.5)', 'text-davinci-002-render*', 'openai/gpt-3.5*'], 0, 1);
