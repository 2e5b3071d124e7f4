"""Self-augmentation: an instruction for each segment."""
