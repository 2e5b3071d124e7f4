"""transformers in this process."""
