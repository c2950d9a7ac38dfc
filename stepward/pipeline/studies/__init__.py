"""Studies: runs, their results, and the checks of claims."""
