"""Bring conversations in, clean them and say what was taken: the `curate` command."""
