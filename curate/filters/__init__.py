"""Filters, one a module."""
