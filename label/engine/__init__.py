"""Pacing, budget, failure classes and durable completions around any chat model."""
