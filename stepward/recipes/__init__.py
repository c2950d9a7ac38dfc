"""The named runs, and their one typed schema."""
