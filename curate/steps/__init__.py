"""Cleaning steps, one a module."""
