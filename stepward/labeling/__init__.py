"""Step labels: Monte-Carlo rollouts, the labels computed from their counts, judges, and filters."""
