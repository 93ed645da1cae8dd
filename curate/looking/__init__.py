"""One thing of the store: found, shown, compared, traced."""
