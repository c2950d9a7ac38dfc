"""Rows to token ids, scored positions and batches."""
