"""Rows of .jsonl, .json and .parquet files, plain or gzipped; a broken row is a value, not an exception."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from askback.errors import InputError, MissingExtra

MAX_LINE = 64_000_000
"""Bytes of the longest line that is read; a longer one is a broken row (a file without line ends must not fill memory)."""


class BrokenRow(ValueError):
    """A row that cannot be read; the message says why."""


def read_rows(path: Path) -> Iterator[tuple[str, dict[str, Any] | BrokenRow]]:
    """Yield (where, row) for every row of a file; `where` is ``file:line`` or ``file#row``.

    Raises:
        InputError: the file is missing, unreadable or of another kind.
    """
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    try:
        if name.endswith((".jsonl", ".ndjson")):
            yield from _lines(path)
        elif name.endswith(".json"):
            yield from _array(path)
        elif name.endswith(".parquet"):
            yield from _parquet(path)
        else:
            raise InputError(
                f"{path}: expected .jsonl, .json or .parquet (also .gz), found '{path.suffix or path.name}'"
            )
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}. Check the path and its permissions."
        ) from error


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if path.suffix == ".zst":
        try:
            import zstandard
        except ImportError as error:
            raise MissingExtra("zstandard", "zst", f"Reading {path}") from error
        return io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(path.open("rb")))
    return path.open("rb")


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | BrokenRow]]:
    with _open(path) as file:
        number = 0
        while True:
            number += 1
            where = f"{path}:{number}"
            try:
                line = file.readline(MAX_LINE)
                while len(line) == MAX_LINE and not line.endswith(b"\n") and (more := file.readline(MAX_LINE)):
                    line = b"" if not more.endswith(b"\n") else b"\x00"
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                yield where, BrokenRow(f"the compressed file breaks off or is damaged here ({error})")
                return
            if not line:
                return
            if line.strip():
                yield where, _row(line)


def _row(line: bytes) -> dict[str, Any] | BrokenRow:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return BrokenRow(f"not valid JSON: {error}")
    if not isinstance(row, dict):
        return BrokenRow(f"expected a JSON object, found {type(row).__name__}")
    return row


def _array(path: Path) -> Iterator[tuple[str, dict[str, Any] | BrokenRow]]:
    try:
        with _open(path) as file:
            rows = json.load(file)
    except (ValueError, EOFError, zlib.error, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a JSON array of objects, found {type(rows).__name__}")
    for number, row in enumerate(rows):
        yield (
            f"{path}#{number}",
            row if isinstance(row, dict) else BrokenRow(f"expected an object, found {type(row).__name__}"),
        )


def _parquet(path: Path) -> Iterator[tuple[str, dict[str, Any] | BrokenRow]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    yield f"{path}#{number}", row
                    number += 1
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a readable Parquet file: {error}") from error
