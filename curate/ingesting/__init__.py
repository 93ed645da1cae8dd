"""Files on their way into the store: found, told apart, read, counted, written."""
