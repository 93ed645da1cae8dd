"""From the store to files: rows are chosen, measured, counted, written, described."""
