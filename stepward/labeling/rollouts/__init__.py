"""Rollouts: which prefixes are sampled, how many completions each gets, and what their counts estimate."""
