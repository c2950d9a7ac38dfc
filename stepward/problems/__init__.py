"""Where problems come from: files, and the arithmetic world with its checker."""
