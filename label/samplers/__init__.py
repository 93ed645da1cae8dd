"""One module per way to draw responses from a policy."""
