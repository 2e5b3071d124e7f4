"""Rewriting: each answer is rewritten for its instruction, and kept where it says no more than its source."""
