"""Rows of JSON Lines, JSON and Parquet files and of hub data sets, from which seed pairs and documents are read.

A broken row is a value, not an exception: it has its place, and the rows after it are read.
"""

from pathlib import Path
from typing import Any

from askback.errors import InputError, MissingExtra, reason_of
from askback.inputs.json_rows import rows_of
from askback.inputs.json_values import BrokenRow as BrokenRow
from askback.inputs.json_values import Rows as Rows
from askback.inputs.json_values import row_of
from askback.inputs.packed import open_bytes, unpacked_name
from askback.inputs.parquet import parquet_rows
from askback.inputs.remote import File

LONGEST = 64_000_000
"""Largest number of bytes of a line, so that a file without line ends does not fill the memory."""


def read_rows(path: Path) -> Rows:
    """Yield the rows of a file: Parquet, or JSON in any form (json_rows.py), by its content, not its name."""
    try:
        with open_bytes(path) as file:
            start = file.read(4)
    except OSError:
        start = b""
    named = unpacked_name(path.name).lower().endswith((".parquet", ".pq")) and start.lstrip()[:1] not in (b"{", b"[")
    return parquet_rows(path) if start == b"PAR1" or named else json_rows(path)


def json_rows(path: File, longest: int = LONGEST) -> Rows:
    """Yield the rows of a JSON file in any form; a line or an element of more than `longest` bytes is broken."""
    place = ":0"
    try:
        with open_bytes(path) as file:
            for place, row in rows_of(file, longest):
                yield f"{path}{place}", row
    except OSError as error:
        why = f"cannot be read from here on: {error}"
        yield f"{path}{place[0]}{int(place[1:]) + 1}", BrokenRow("clipped", why)


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
        raise InputError(
            f"{where}: cannot be opened: {reason_of(error)}. Check the name, the split and the network"
        ) from error
    return _streamed(rows, where)


def _streamed(rows: Any, where: str) -> Rows:
    number = 0
    try:
        for row in rows:
            number += 1
            yield f"{where}#{number}", row_of(row)
    except Exception as error:  # noqa: BLE001 - whatever network, format or builder raises, what was read stays
        yield f"{where}#{number + 1}", BrokenRow("clipped", f"cannot be read from here on: {reason_of(error)}")
