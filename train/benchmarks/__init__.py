"""Benchmarks over local files: the papers' suites, their rows, how an answer is scored."""
