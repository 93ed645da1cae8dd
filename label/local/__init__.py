"""What models on this machine have in common: folders, tokens, batches, vLLM as a library."""
