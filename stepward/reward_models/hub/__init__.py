"""Published reward models, each scored by its own prompt format and read-out."""
