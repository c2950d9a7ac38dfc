"""Step labels: Monte-Carlo rollouts, the labels computed from their counts, judges, and filters."""

from stepward.labeling.labels import compute_labels, entropy_regularized, hard, soft

__all__ = ["compute_labels", "entropy_regularized", "hard", "soft"]
