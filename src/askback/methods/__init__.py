"""One page a method."""
