"""Reward models: how a solution is scored step by step, how the model is trained, and how it is read back."""
