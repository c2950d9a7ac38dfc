"""A recipe's stages in order: what is done is skipped, what changed is refused."""
