"""MT-bench: two-turn questions, each turn rated on its own."""
