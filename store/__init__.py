"""The store: message trees, versions and labels in one DuckDB file, shared by many processes."""

__version__ = "0.1.0"
