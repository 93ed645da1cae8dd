"""How good a model is at what it was trained for."""
