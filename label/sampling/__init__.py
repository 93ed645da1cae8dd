"""Responses of a policy: which draws are missing, asked for, and kept as they come."""
