"""Pairs to train on: chosen by a rule, audited, kept under a name, gathered."""
