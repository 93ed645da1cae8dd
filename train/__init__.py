"""From the store to training files and trainers: the `train` command."""
