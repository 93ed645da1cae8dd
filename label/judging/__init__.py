"""Ratings by a judge: which turns, what is asked, how the reply is read, and what was already known."""
