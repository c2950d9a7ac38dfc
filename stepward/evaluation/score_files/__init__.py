"""Evaluation of score files from elsewhere."""
