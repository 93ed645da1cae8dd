"""The terminal application for looking and judging blind: the `review` command."""
