"""Splits of a dataset, without leaks between them."""
