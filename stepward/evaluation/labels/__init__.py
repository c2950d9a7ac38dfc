"""Quality, noise and cost of step labels."""
