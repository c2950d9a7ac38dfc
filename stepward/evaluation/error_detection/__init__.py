"""First-error benchmarks: ProcessBench F1, PRMBench score."""
