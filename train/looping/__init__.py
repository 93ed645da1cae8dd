"""The online loop over our own commands."""
