"""What a trainer will see in an export, and the faults that make training go wrong in silence."""
