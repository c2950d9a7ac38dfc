"""Formats of first-error benchmarks."""
