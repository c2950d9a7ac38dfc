"""Trainings by recipe, and sweeps of them."""
