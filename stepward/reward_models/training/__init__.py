"""The trainers of process, outcome and Bradley-Terry reward models."""
