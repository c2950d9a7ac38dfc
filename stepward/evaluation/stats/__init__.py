"""Intervals and tests over problems and seeds."""
