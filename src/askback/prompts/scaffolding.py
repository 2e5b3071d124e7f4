"""Markup of chat templates and tokenizers, and how it is made inert where it cannot be encoded apart (encoding.py)."""

import re

MARKUP = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<\uff5c[^<>\s]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|\[/?(?:INST|SYS)\]|<</?SYS>>|</?(?:start|end)_of_turn>|</?think>"
)


def inert(text: str) -> str:
    """Insert a word joiner (U+2060, invisible) into text that a server may read as markup when it renders a chat.

    A document about chat templates stays readable, and cannot end its turn.
    """
    if "<" not in text and "[" not in text:
        return text
    return MARKUP.sub(lambda match: joined(match[0]), text)


def joined(marker: str) -> str:
    """Return a marker with a word joiner after its first character."""
    return f"{marker[0]}\u2060{marker[1:]}"
