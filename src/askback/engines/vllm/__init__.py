"""A vLLM server that a run starts."""
