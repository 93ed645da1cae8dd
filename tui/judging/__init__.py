"""Judging two answers blind: the pair, the queue, the protocol, what was done and taken back."""
