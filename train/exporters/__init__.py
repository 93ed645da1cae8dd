"""One module per file layout that a trainer reads."""
