"""Sequences of one prompt in one forward pass: prefix trees, their layout, and attention within branches."""
