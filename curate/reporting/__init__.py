"""What a store holds, as figures, as a page, and as files for others."""
