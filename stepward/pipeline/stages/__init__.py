"""The stages of a run, each as tasks over shards."""
