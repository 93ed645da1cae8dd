"""Requests handed over together: planned, submitted once, collected, and turned into labels."""
