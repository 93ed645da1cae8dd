"""Filters at work: options, one reading for all of them, and what they share."""
