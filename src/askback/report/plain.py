"""Text of documents on a terminal."""

from rich.markup import escape

from askback.text.plain import plain


def shown(text: str) -> str:
    """Return a text as it may stand in markup of rich's."""
    return escape(plain(text))
