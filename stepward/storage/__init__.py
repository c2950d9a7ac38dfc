"""Files of a run: Parquet shards, the manifest, and writes that are whole or absent."""
