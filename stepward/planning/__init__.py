"""What a training or a run will take: memory, tokens, hours."""
