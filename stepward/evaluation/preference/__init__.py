"""Accuracy on preference pairs."""
