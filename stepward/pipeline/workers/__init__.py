"""Who does the tasks: this process, local processes, or a Ray cluster."""
