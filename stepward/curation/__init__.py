"""What stands between other people's files and training: statistics, splits by problem, and decontamination."""
