"""What stands in evaluation sets."""
