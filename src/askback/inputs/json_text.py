"""An incremental parser of JSON: one value at a time, while the text is read."""

import codecs
import io
import json
import re
from typing import Any

from askback.inputs.json_values import BrokenRow, Row, decode, row_of, why_broken

CHUNK = 1_000_000
"""Bytes per read."""
BACK = 200
"""Characters kept before an element, in which the beginning of its line is looked for."""
_SPACE = re.compile(r"[\s\ufeff]*")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_NEXT_OBJECT = re.compile(r"\}\s*(?=,\s*\{)")
_NESTING = re.compile(r'"(?:[^"\\]|\\.?)*+("|\Z)|[{}\[\]]', re.DOTALL)


def _read(stream: "io.BufferedReader[Any]", size: int) -> bytes:
    """Read `size` bytes, or fewer where the stream ends or breaks off."""
    parts = []
    try:
        while size > 0 and (data := stream.read1(size)):
            parts.append(data)
            size -= len(data)
    except OSError:
        if not parts:
            raise  # otherwise the next call meets the error again
    return b"".join(parts)


class Text:
    """A JSON text that is read as far as needed; `at` is the offset up to which it has been parsed."""

    def __init__(self, head: bytes, rest: "io.BufferedReader[Any]", longest: int) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._rest, self._longest = rest, longest
        self.text, self.at, self._line = self._decoder.decode(head), 0, 1
        self.more()

    def more(self) -> bool:
        """Read on, at least as much as is not parsed yet; return whether anything was read."""
        data = _read(self._rest, max(CHUNK, len(self.text) - self.at))
        done = max(0, self.at - BACK)
        self._line += self.text.count("\n", 0, done)
        self.text = self.text[done:] + self._decoder.decode(data, not data)
        self.at -= done
        return bool(data)

    def sign(self) -> str:
        """Move to the next character that is not blank and return it, "" at the end."""
        while True:
            if blank := _SPACE.match(self.text, self.at):
                self.at = blank.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def place(self, at: int) -> str:
        """Return the line and column of an offset in words."""
        column = at - self.text.rfind("\n", 0, at)
        return f"line {self._line + self.text.count(chr(10), 0, at)} column {column}"

    def row(self) -> Row:
        """Return the value that begins here as a row, and move behind it, whether it is broken or not."""
        while True:
            try:
                value, end = decode(self.text, self.at)
                break
            except (ValueError, RecursionError) as error:
                cut = isinstance(error, json.JSONDecodeError) and (
                    error.pos > len(self.text) - 16 or error.msg.startswith("Unterminated")
                )
                if cut and len(self.text) - self.at > self._longest:
                    row = BrokenRow("too-large", f"an element of more than {self._longest} characters")
                elif cut and self.more():
                    continue
                else:
                    row = BrokenRow("broken-json", why_broken(error, self.place))
                self._skip()
                return row
        raw, self.at = self.text[self.at : end], end
        if len(raw) > self._longest:
            return BrokenRow("too-large", f"an element of more than {self._longest} characters")
        if not raw.isascii() and _NOT_UTF8.search(raw):
            return BrokenRow("broken-json", "not UTF-8")
        return row_of(value)

    def _skip(self) -> None:
        """Move behind a broken element: to the next line of its indentation, else to where its brackets close."""
        line_start = self.text.rfind("\n", max(0, self.at - BACK), self.at) + 1
        indent = self.text[line_start : self.at]
        own_line = line_start > 0 and not indent.strip()
        following = re.compile(rf"\n(?:{re.escape(indent)}(?=[{{\[])|[^\S\n]*(?=\]))") if own_line else None
        while True:
            found = following.search(self.text, self.at) if following else None
            end = found.end() if found else None if following else _closed(self.text, self.at)
            if end is not None:
                self.at = end
                return
            if len(self.text) - self.at > self._longest or not self.more():
                found = _NEXT_OBJECT.search(self.text, self.at)
                self.at = found.end() if found else len(self.text)
                return


def _closed(text: str, at: int) -> int | None:
    """Return the offset behind the brackets that open at `at`, None if they are not closed."""
    depth = 0
    for found in _NESTING.finditer(text, at):
        if found[1] == "":
            return None  # a string without an end: which characters are brackets is unknown
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found[0], 0)
        if depth <= 0:
            return found.end()
    return None
