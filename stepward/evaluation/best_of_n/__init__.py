"""Accuracy of best-of-N and votes."""
