"""One module per training recipe: which rows, which loss, which weights."""
