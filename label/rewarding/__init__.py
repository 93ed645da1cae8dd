"""Numbers of reward models for responses: which are missing, scored here or read from a file."""
