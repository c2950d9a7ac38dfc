"""Formats of solutions with step labels."""
