"""Step labels: rollouts, the rewards computed from their counts, and the labels of solutions."""
