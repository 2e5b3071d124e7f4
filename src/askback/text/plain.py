"""Text of documents for display: invisible characters, and those that change the display of others, become visible."""

import re

INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
"""Control characters except tab and line ends, marks and overrides of direction, and characters of no width except those
that join letters and symbols (U+200C, U+200D)."""


def plain(text: str) -> str:
    """Return a text with each such character written as [U+202E]."""
    return INVISIBLE.sub(lambda found: f"[U+{ord(found[0]):04X}]", text)
