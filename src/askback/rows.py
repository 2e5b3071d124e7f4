"""Rows of JSON Lines, JSON and Parquet files and of hub data sets: what seed pairs and documents are read from.

A broken row is a value, not an exception: it names its place, and the rows after it are read.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from askback.errors import InputError, MissingExtra
from askback.packed import open_bytes, unpacked_name
from askback.remote import File

LONGEST = 64_000_000
"""Bytes of the longest line that is read, so that a file without line ends does not fill the memory."""


class BrokenRow(ValueError):
    """A row that cannot be read: the rule it breaks (``too-large``, ``broken-json`` …) and, as its text, why."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(" ".join(why.split())[:300])
        self.rule = rule


Rows = Iterator[tuple[str, dict[str, Any] | BrokenRow]]
"""(where, row): `where` is ``file:line``, ``file#row`` or ``hub:name:split#row``, counted from 1."""


def read_rows(path: Path) -> Rows:
    """Yield the rows of a file, by its suffix.

    Raises:
        InputError: the file is of another kind.
    """
    from askback.parquet import parquet_rows  # it knows what a broken row is from here

    name = unpacked_name(path.name).lower()
    if name.endswith((".parquet", ".pq")):
        return parquet_rows(path)
    if name.endswith(".json"):
        return array_rows(path)
    if name.endswith((".jsonl", ".ndjson")):
        return line_rows(path)
    raise InputError(f"{path}: expected .jsonl, .json or .parquet (also .gz, .zst), found '{path.suffix or path.name}'")


def line_rows(path: File, longest: int = LONGEST) -> Rows:
    """Yield a row per line of a JSON Lines file; blank lines are nothing, a line over `longest` bytes is broken."""
    number = 0
    try:
        with open_bytes(path) as lines:
            while line := lines.readline(longest + 1):
                number += 1
                if len(line) > longest:
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(longest)
                    yield f"{path}:{number}", BrokenRow("too-large", f"a line of more than {longest} bytes")
                elif line.strip():
                    yield f"{path}:{number}", _row(line)
    except OSError as error:
        yield f"{path}:{number + 1}", BrokenRow("clipped", f"cannot be read from here on: {error}")


def array_rows(path: File) -> Rows:
    """Yield a row per object of a JSON file that is one array; it is read into memory as a whole."""
    try:
        with open_bytes(path) as file:
            rows = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        yield str(path), BrokenRow("broken-json", f"not valid JSON: {error}")
        return
    for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
        yield f"{path}#{number}", _checked(row)


def hub_rows(name: str) -> Rows:
    """Stream ``NAME[:SPLIT]`` (split "train" unless given) from the hub, or from a folder that `datasets` can load.

    Raises:
        MissingExtra: `datasets` is not installed.
        InputError: the data set or split cannot be opened.
    """
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise MissingExtra("datasets", "local", f"Reading hub:{name}") from error
    path, _, split = name.partition(":")
    where = f"hub:{path}:{split or 'train'}"
    try:
        rows = load_dataset(path, split=split or "train", streaming=True)
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(f"{where}: cannot be opened: {said}. Check the name, the split and the network") from error
    return _streamed(rows, where)


def _streamed(rows: Any, where: str) -> Rows:
    number = 0
    try:
        for row in rows:
            number += 1
            yield f"{where}#{number}", _checked(row)
    except Exception as error:  # noqa: BLE001 - whatever network, format or builder raises, what was read stays
        yield f"{where}#{number + 1}", BrokenRow("clipped", f"cannot be read from here on: {error}")


def _row(line: bytes) -> dict[str, Any] | BrokenRow:
    try:
        row = json.loads(line.decode("utf-8-sig"))
        if b"\\ud" in line.lower():
            # Half a surrogate pair is no text, and could not be written anywhere; it becomes a question mark.
            row = json.loads(json.dumps(row, ensure_ascii=False).encode("utf-8", "replace"))
        return _checked(row)
    except (ValueError, RecursionError) as error:
        return BrokenRow("broken-json", f"not valid JSON: {error}")


def _checked(row: Any) -> dict[str, Any] | BrokenRow:
    if isinstance(row, dict):
        return row
    return BrokenRow("not-a-record", f"expected an object, found {type(row).__name__}")
