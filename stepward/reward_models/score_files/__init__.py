"""Files of rows scored by a reward model, resumable after a kill."""
