"""What the screens ask for, answered from a store, each question in a short turn."""
