"""Responses in the order of their scores, and what the best of n is worth."""
