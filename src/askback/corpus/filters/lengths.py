"""How long a segment may be (method.md 1.4)."""

from askback.recipe import Corpus


def too_short(text: str, options: Corpus) -> str | None:
    """Rule "too-short": fewer than `min_chars` characters (the paper: 600)."""
    return f"{len(text)} characters, at least {options.min_chars} wanted" if len(text) < options.min_chars else None


def too_long(text: str, options: Corpus) -> str | None:
    """Rule "too-long": more than `max_chars` characters (the paper: 3,000)."""
    return f"{len(text)} characters, at most {options.max_chars} wanted" if len(text) > options.max_chars else None
