"""The language a segment is in (method.md 1.4)."""

from askback.recipe import Corpus


def other_language(code: str, options: Corpus) -> str | None:
    """Rule "language": not one of `languages` (["en"]; the paper uses the English part of its crawl)."""
    return f"language {code!r}, wanted {', '.join(options.languages)}" if code not in options.languages else None
