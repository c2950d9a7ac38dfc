"""Formats of problems with reference answers."""
