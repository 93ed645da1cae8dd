"""One module per way to reach a chat model."""
