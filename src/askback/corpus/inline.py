"""The line of text in hand: what inline elements make of the words in them.

Emphasis and links leave their words, code gets backticks, powers a ``^``; references to footnotes go.
"""

import re

BREAK = "\x01"
"""A forced line break; no page can hold one, since control characters are removed first."""

_POWER = re.compile(r"[-+−–]?\d+(?:\.\d+)?|[a-zA-Z]|\d*[-+−–]")
_BASE = re.compile(r"[\w)\]]$")
_NUMBER = re.compile(r"\[?[\d*†‡§,–-]{1,9}\]?")
_LONG_WORD = re.compile(r"(?:[^\W\d_]{4}|[.,;:!?”\"'’])\Z")

CODE = {"code", "kbd", "samp", "tt"}


def one_line(text: str) -> str:
    """Return the text with single spaces, without the arrow that leads back from a footnote."""
    words = " ".join(text.split())
    return words.rstrip("↩\ufe0e\ufe0f ") if "↩" in words[-2:] else words


class Line:
    """Pieces of serialised text, as they come; `take` ends the line."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.marks: list[tuple[str, int]] = []  # inline elements open, and where in the line each begins
        self.links = 0  # open
        self.link_start = 0  # where in the line the outermost of them begins
        self.linked = 0  # characters of text in links, since `take_linked`

    def take(self) -> str:
        """Return the line, entities resolved, white space and breaks as they stand, and begin another."""
        pieces = self.pieces
        if self.links > 0:
            self.count_linked()
            self.link_start = 0
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        pieces.clear()
        if self.marks:
            self.marks = [(kind, 0) for kind, _ in self.marks]
        if "&" in text:  # these four are all that a serialised page has
            text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        return text

    def take_words(self) -> str:
        """As `take`, on one line and with single spaces."""
        return " ".join(self.take().replace(BREAK, " ").split())

    def open(self, kind: str) -> None:
        """Remember where an inline element begins. Code in code is no more than code."""
        if kind in CODE and any(around in CODE for around, _ in self.marks):
            kind = ""
        self.marks.append((kind, len(self.pieces)))

    def close(self) -> tuple[str, str]:
        """Take the text of the inline element that ends here out of the line; return its kind and the text."""
        if not self.marks:
            return "", ""
        kind, start = self.marks.pop()
        text = "".join(self.pieces[start:])
        del self.pieces[start:]
        return kind, text

    def close_code(self) -> None:
        """Put backticks around code, spaces outside of them."""
        kind, text = self.close()
        words = " ".join(text.replace(BREAK, " ").split()) if kind else ""
        if not words:
            self.pieces.append(text)
            return
        ticks = "``" if "`" in words else "`"
        self.pieces.append(f"{' ' * text[0].isspace()}{ticks}{words}{ticks}{' ' * text[-1].isspace()}")

    def open_link(self) -> None:
        """Count a link; a raised link is a reference."""
        if not self.links:
            self.link_start = len(self.pieces)
        self.links += 1
        if self.marks and self.marks[-1][0] == "sup":
            self.marks[-1] = ("linked sup", self.marks[-1][1])

    def close_link(self) -> None:
        """End a link."""
        if self.links == 1:
            self.count_linked()
        self.links -= 1

    def count_linked(self) -> None:
        """Add what the link in hand holds so far to the text in links, white space as it will be."""
        self.linked += len(" ".join("".join(self.pieces[self.link_start :]).split()))

    def take_linked(self) -> int:
        """Return how many characters of text stood in links since this was asked before."""
        linked, self.linked = self.linked, 0
        return linked

    def close_superscript(self) -> None:
        """Write a power with ``^`` (10^6, not 106); drop the number of a footnote; leave the rest (1st, ™)."""
        kind, text = self.close()
        text = text.strip()
        before = "".join(self.pieces[-3:])[-80:]  # more says nothing
        linked = kind == "linked sup" or self.links > 0
        if _NUMBER.fullmatch(text) and (linked or text[0] == "[" or _LONG_WORD.search(before.rstrip())):
            return
        self.pieces.append(f"^{text}" if _POWER.fullmatch(text) and _BASE.search(before) else text)

    def close_subscript(self) -> None:
        """Write H2O as it is read, but keep the digits of a number and its base apart."""
        _, text = self.close()
        before = self.pieces[-1][-1:] if self.pieces else ""
        self.pieces.append(f"_{text}" if before.isdigit() and text[:1].isdigit() else text)
