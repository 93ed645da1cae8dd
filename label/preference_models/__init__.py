"""Pairwise preference models, one module each."""
