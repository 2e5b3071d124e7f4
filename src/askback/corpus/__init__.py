"""Unlabelled documents → the paper's segments (method.md 1.4)."""

from askback.corpus.cut import cut

__all__ = ["cut"]
