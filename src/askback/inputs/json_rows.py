"""Rows of a JSON text in any form, recognised by content: JSON Lines, one array, objects one after another, or a list
wrapped in an object, as in ``{"data": [...]}``; in UTF-8, UTF-16 or UTF-32, with or without a byte-order mark.

A line or element that is not JSON becomes one broken row that names its place; the rows after it are read. Of JSON Lines,
one line is in memory at a time; of the other forms, one element and about as much again.
"""

import codecs
import io
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from askback.inputs.json_text import CHUNK, Text
from askback.inputs.json_values import BrokenRow, Row, Rows, decode, row_of

HEAD = 65_536
"""Bytes from which the form is recognised, rounded up to whole lines."""
PART = 1 << 16
"""Bytes per read of a file; a compressed file that breaks off loses at most these."""
TRIED = 20
"""Lines of the head that are parsed: one that is a whole object makes a file JSON Lines, whatever precedes it."""
WRAPPERS = frozenset(
    ["data", "rows", "train", "training", "test", "validation", "examples", "records", "items", "documents", "samples"]
)
"""Keys under which a file that is one object may hold its list of rows."""
_RECORD_FIELDS = frozenset(["instruction", "prompt", "question", "text", "messages", "conversations", "output"])
_ARRAY = re.compile(rb"\[\s*(?:[\[{\"\]0-9tfn-]|\Z)")
_KEY = re.compile(r'\s*+(?:,\s*+)?"(\w+)"\s*:\s*')
_LIST = re.compile(r"\[\s*[{\]]")


def rows_of(stream: IO[bytes], longest: int) -> Rows:
    """Yield the rows of a JSON text with their places, ``:line`` or ``#element``; a line of more than `longest` bytes, or
    an element of more than `longest` characters, is broken."""
    lines = io.BufferedReader(_Utf8(stream), CHUNK)
    head, first = _head(lines, longest)
    if not first:
        yield ":1", BrokenRow("empty", "the file holds nothing")
    elif _is_array(first) or (first[:1] == b"{" and not _is_lines(head)):
        yield from _rows(Text(head, lines, longest))
    elif first[:1] == b"{" or first[:1] == b"[" or _is_lines(head):
        yield from _lines(head, lines, longest)
    else:
        shown = first.split(b"\n")[0][:40].decode("utf-8", "replace")
        why = f"no JSON, it begins with {shown!r}; JSON Lines, a JSON array or Parquet is wanted"
        yield ":1", BrokenRow("not-json", why)


class _Utf8(io.RawIOBase):
    """A stream of JSON, converted to UTF-8 from the encoding that its first bytes show."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._read = getattr(stream, "read1", stream.read)
        start = stream.read(4)
        encoding = json.detect_encoding(start)
        self._decoder = None if encoding.startswith("utf-8") else codecs.getincrementaldecoder(encoding)("replace")
        self._pending = memoryview(self._converted(start))

    def _converted(self, data: bytes) -> bytes:
        return self._decoder.decode(data, not data).encode("utf-8", "replace") if self._decoder else data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._pending:
            data = self._read(min(len(buffer), PART))
            self._pending = memoryview(self._converted(data))
            if not data and not self._pending:
                return 0
        size = min(len(buffer), len(self._pending))
        buffer[:size], self._pending = self._pending[:size], self._pending[size:]
        return size


def _head(lines: IO[bytes], longest: int) -> tuple[bytes, bytes]:
    """Return the first lines, whole, and the same without blank text before them; the first line of an array may be cut."""
    head = b""
    while len(head) < HEAD and (line := lines.readline(HEAD)):
        first = (head + line).removeprefix(codecs.BOM_UTF8).lstrip()
        if not line.endswith(b"\n") and first and not _is_array(first):
            line += lines.readline(max(1, longest + 1 - len(line)))
        head += line
    return head, head.removeprefix(codecs.BOM_UTF8).lstrip()


def _is_array(first: bytes) -> bool:
    return _ARRAY.match(first) is not None


def _is_lines(head: bytes) -> bool:
    """Return whether a text that begins with an object is JSON Lines: a line is a whole object, or the first line is not
    the beginning of an object that continues on the next."""
    lines = [line for line in head.removeprefix(codecs.BOM_UTF8).split(b"\n") if line.strip()]
    start = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    one_line = len(lines) > 1 and isinstance(row_of(lines[0]), dict)
    if start[:1] == "{" and not one_line and _wrapped_at(start, 0) is not None:
        return False
    for line in lines[:TRIED]:
        if line[:1] == b"{" and isinstance(row_of(line), dict):
            return True
    if lines[0].lstrip()[:1] != b"{":
        return False
    text = lines[0].decode("utf-8", "replace").rstrip()
    try:
        _, end = decode(text, len(text) - len(text.lstrip()))
        return text[end:].lstrip()[:1] != "{"
    except json.JSONDecodeError as error:
        return error.pos < len(text)
    except (ValueError, RecursionError):
        return True


def _lines(head: bytes, rest: IO[bytes], longest: int) -> Rows:
    """Yield a row per line; blank lines are skipped."""
    first, number = io.BytesIO(head), 0
    while line := first.readline(longest + 1) or rest.readline(longest + 1):
        number += 1
        if len(line) > longest:
            while line and not line.endswith(b"\n"):
                line = first.readline(longest) or rest.readline(longest)
            yield f":{number}", BrokenRow("too-large", f"a line of more than {longest} bytes")
        elif line.removeprefix(codecs.BOM_UTF8).strip():
            yield f":{number}", row_of(line)


def _rows(text: Text) -> Rows:
    """Yield the objects, and the elements of the arrays, that follow one another."""
    number = 0
    while sign := text.sign():
        list_at = _wrapped_at(text.text, text.at) if sign == "{" else None
        if sign == "[" or list_at is not None:
            if list_at is not None:
                text.at = list_at
            rows = _elements(text) if list_at is None else _wrapped(text)
        else:
            rows = iter([text.row()])
        for row in rows:
            number += 1
            yield f"#{number}", row
    if not number:
        yield "#1", BrokenRow("empty", "the file holds an empty list")


def _elements(text: Text) -> Iterator[Row]:
    """Yield the elements of the array that begins here."""
    text.at += 1
    row: Row = {}
    while (sign := text.sign()) != "]":
        if not sign and isinstance(row, BrokenRow):
            return  # that row has reported it
        if not sign:
            yield BrokenRow("clipped", "the list has no end: the file was cut off, or a bracket is missing")
            return
        row = text.row()
        yield row
        behind, comma_at = text.sign(), text.at
        if behind == ",":
            text.at += 1
            if text.sign() == "]":
                yield BrokenRow("broken-json", f"a comma before the end of the list: {text.place(text.at)}")
        elif behind not in ("]", "") and not isinstance(row, BrokenRow):
            yield BrokenRow("broken-json", f"a comma is missing: {text.place(comma_at)}")
    text.at += 1


def _wrapped_at(text: str, at: int) -> int | None:
    """Return the offset of the list of rows that the object at `at` wraps, None if the object seems to be a row itself."""
    at += 1
    while (key := _KEY.match(text, at)) and key[1] not in _RECORD_FIELDS:
        if key[1] in WRAPPERS and _LIST.match(text, key.end()):
            return key.end()
        try:
            _, at = decode(text, key.end())
        except (ValueError, RecursionError):
            return None
    return None


def _wrapped(text: Text) -> Iterator[Row]:
    """Yield the elements of a wrapped list, and a broken row for each further list of the object, which is not read."""
    yield from _elements(text)
    while text.sign() == ",":
        key = _KEY.match(text.text, text.at)
        if not key:
            break
        text.at = key.end()
        value = text.row() if text.sign() == "{" else None
        if value is None:
            count = sum(1 for _ in _elements(text)) if text.sign() == "[" else 0
            if count and key[1] in WRAPPERS:
                why = f"a second list, '{key[1]}' of {count} rows, is not read; give it as a file of its own"
                yield BrokenRow("second-list", why)
            elif not count:
                text.row()
    if text.sign() == "}":
        text.at += 1
    elif text.sign():
        yield text.row()
