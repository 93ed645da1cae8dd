"""Choices kept under a name: parts, mixtures, prompts, blocks."""
