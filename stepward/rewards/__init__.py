"""Reward models: how a solution is scored step by step, how the scorer is trained, and how it is read back."""
