"""The columns of an export with their types, as Parquet has them and as the card declares them."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from askback.errors import InputError
from askback.export.exporters import exporter
from askback.records import Example

if TYPE_CHECKING:
    import pyarrow as pa

OWN = ("id", "origin", "score", "quality", "human_reviewed")
PROVENANCE = (*OWN, "uri", "source", "licence", "language", "title", "date")

BATCH = 10 * 2**20
"""Bytes of a JSON Lines file from which `datasets` infers types at a time."""
TIME = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:?\d\d(:?\d\d(\.\d+)?)?)?(Z|[+-]\d\d(:?\d\d)?)?)?")


def provenance(pair: Example) -> dict[str, Any]:
    """Return a pair's columns beside its conversation: where it comes from, and its score."""
    return {name: getattr(pair if name in OWN else pair.provenance, name) for name in PROVENANCE}


def schema(format: str, dates: bool = False) -> "pa.Schema":
    """Return the types of a format's columns; `dates` has the column `date` hold dates in place of text."""
    import pyarrow as pa

    found: list[tuple[str, Any]] = [
        (name, pa.list_(pa.struct([(field, pa.string()) for field in fields])) if fields else pa.string())
        for name, fields in exporter(format).columns.items()
    ]
    types = {"score": pa.float64(), "human_reviewed": pa.bool_()} | ({"date": pa.date32()} if dates else {})
    return pa.schema(found + [(name, types.get(name, pa.string())) for name in PROVENANCE])


def declared(columns: "pa.Schema") -> list[dict[str, Any]]:
    """Return the types for the card, where `datasets` reads them: it cannot infer that of a column without a value."""
    import pyarrow as pa

    names = {pa.float64(): "float64", pa.bool_(): "bool", pa.string(): "string", pa.date32(): "date32"}
    return [
        {"name": field.name, "dtype": names[field.type]}
        if field.type in names
        else {
            "name": field.name,
            "list": [{"name": part.name, "dtype": names[part.type]} for part in field.type.value_type],
        }
        for field in columns
    ]


def json_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line of JSON for each row."""
    return [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]


def times(rows: Sequence[dict[str, Any]]) -> set[str]:
    """Return the columns that `datasets` would read as times from JSON Lines, as all texts in a batch look like times."""
    found: set[str] = set()
    texts: dict[str, bool] = {}
    size = 0
    for row, line in zip(rows, json_lines(rows), strict=True):
        for name, text in _texts(row):
            texts[name] = texts.get(name, True) and TIME.fullmatch(text) is not None
        size += len(line.encode("utf-8", "replace"))
        if size >= BATCH or row is rows[-1]:
            found |= {name for name, is_time in texts.items() if is_time}
            texts, size = {}, 0
    return found


def _texts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in row.items():
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, list):
            yield from ((f"{name}.{field}", text) for turn in value for field, text in turn.items())


def dated(files: dict[str, list[dict[str, Any]]]) -> bool:
    """Return whether the column `date` would be read as times from JSON Lines; if so, make its empty texts None.

    Raises:
        InputError: another column would be read as times.
    """
    found = set().union(*map(times, files.values()))
    if others := sorted(found - {"date"}):
        raise InputError(
            f"--file-type jsonl: every text under '{others[0]}' looks like a time, and readers of JSON Lines convert "
            "such texts; take --file-type parquet"
        )
    for row in (row for rows in files.values() for row in rows) if found else ():
        row["date"] = row["date"] or None
    return bool(found)
