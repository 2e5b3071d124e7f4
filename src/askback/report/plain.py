"""Text of documents on a terminal."""

from rich.markup import escape

from askback.text.plain import plain


def shown(text: str) -> str:
    """Return a text escaped for rich's markup."""
    return escape(plain(text))
