"""Formats of preference pairs."""
