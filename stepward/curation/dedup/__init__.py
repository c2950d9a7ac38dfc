"""Duplicates and overlap between datasets."""
