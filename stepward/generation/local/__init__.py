"""The in-process engine: sampling with a prefix-sharing KV cache on one device."""
