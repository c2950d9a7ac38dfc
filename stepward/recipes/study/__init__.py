"""Recipes of studies: the runs they need and the tables they fill."""
