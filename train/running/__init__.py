"""A training run: its settings, its rows, its process, what is seen of it."""
