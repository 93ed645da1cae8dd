"""One recipe over a grid: what may vary, the plan, its execution, the table and the plot."""
