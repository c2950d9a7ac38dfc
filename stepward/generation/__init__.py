"""Who writes solutions and completions: the protocol, and the engine on transformers."""
