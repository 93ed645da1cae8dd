"""Labels from judges, reward models and people: the `label` command."""
