"""Records on disk: Parquet files that appear whole or not at all.

A step's folder holds ``kept-00000.parquet`` and ``rejected-00000.parquet`` per piece of its work. Each is written to a
temporary name, fsynced and renamed; the kept file comes last and has the piece's counts, so its presence means that the
piece is done. Any Parquet reader (pyarrow, DuckDB, pandas, datasets) opens them.
"""

import json
import typing
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import lru_cache, partial
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from askback.execution.on_disk import reading
from askback.execution.outcome import Counts, Outcome, R, sampled
from askback.owned import atomic
from askback.recipe.variables import any_hidden, hide, hide_in
from askback.records import RECORDS, Provenance, Rejection, draw, exchange, schema

ROW_GROUP = 2048
"""Number of records in a row group, so that a piece of a large file is read without the rest."""
BATCH = 256
"""Number of records that are created at a time."""
Range = tuple[Path, int, int]
"""Records of one file: its path, the first and the last (excluded)."""


R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class Records(Generic[R_co]):
    """The records that a finished step kept: a handle, small enough to send to a worker process.

    `fingerprint` is the step's (identity.py); `steps` names every step that the records come from.
    """

    folder: Path
    fingerprint: str
    steps: frozenset[str] = frozenset()

    def parts(self) -> list[Path]:
        """Return its Parquet files, in order."""
        return sorted(self.folder.glob("kept-*.parquet"))

    def __len__(self) -> int:
        return sum(map(_rows_in, self.parts()))

    def __iter__(self) -> Iterator[R_co]:
        for part in self.parts():
            yield from read_records(part)

    def tables(self, wanted: Any = None) -> Iterator[Any]:
        """Yield tables of pyarrow with the records at whose places `wanted`, an array of booleans, is true, or with all."""
        start = 0
        for part in self.parts():
            stop = start + _rows_in(part)
            for kind, table in _tables(part, 0, None, None if wanted is None else wanted[start:stop]):
                yield table_of(kind, list(_made(kind, table))) if _is_of_first_edition(kind, table) else table
            start = stop

    def picked(self, wanted: Any) -> Iterator[R_co]:
        """Yield the records at whose places `wanted`, an array of booleans, is true."""
        for table in self.tables(wanted):
            yield from _made(_kind(table.schema), table)

    def cut_by_file(self, size: int) -> "list[Piece[R_co]]":
        """Return consecutive pieces of at most `size` records, each in one file."""
        rows = [(part, _rows_in(part)) for part in self.parts()]
        ranges = [(part, at, min(at + size, count)) for part, count in rows for at in range(0, count, size)]
        return [Piece([found], number) for number, found in enumerate(ranges)]

    def cut(self, size: int) -> "list[Piece[R_co]]":
        """Return consecutive pieces of `size` records; the last one holds the rest."""
        pieces: list[list[Range]] = []
        room = 0
        for part in self.parts():
            start, rows = 0, _rows_in(part)
            while start < rows:
                if not room:
                    pieces.append([])
                    room = size
                stop = min(rows, start + room)
                pieces[-1].append((part, start, stop))
                room -= stop - start
                start = stop
        return [Piece(ranges, number) for number, ranges in enumerate(pieces)]

    def cut_drawn(self, random_seed: int, first: int, stop: int | None, size: int) -> "list[Piece[R_co]]":
        """Return pieces of `size` records: those from place `first` to `stop` in an order that is drawn by their ids.

        Within a piece they are in the order of their files.
        """
        import numpy as np
        import pyarrow.parquet as pq

        parts, starts, draws = self.parts(), [0], []
        for part in parts:
            with reading(part):
                ids = pq.read_table(part, columns=["id"])["id"].to_pylist()
            draws += [draw(random_seed, "order", id) for id in ids]
            starts.append(starts[-1] + len(ids))
        order = np.argsort(np.array(draws, np.uint64), kind="stable")[first:stop]
        pieces = []
        for number, at in enumerate(range(0, len(order), size)):
            places = sorted(order[at : at + size].tolist())
            files = [(bisect_right(starts, place) - 1, place) for place in places]
            ranges = [(parts[file], place - starts[file], place - starts[file] + 1) for file, place in files]
            pieces.append(Piece[R_co](ranges, number))
        return pieces


@dataclass(frozen=True)
class Piece(Generic[R_co]):
    """Consecutive records, as ranges of files; iterating reads them each time."""

    ranges: list[Range]
    number: int
    """The number of the piece in its step."""

    def __len__(self) -> int:
        return sum(stop - start for _, start, stop in self.ranges)

    def __iter__(self) -> Iterator[R_co]:
        for found in self.ranges:
            yield from read_records(*found)


def rejections(folder: Path) -> Iterator[Rejection]:
    """Yield the dropped records of a step, in order; of a large piece of work, a sample of each rule (`Outcome`)."""
    for part in sorted(folder.glob("rejected-*.parquet")):
        yield from read_records(part)


def columns(records: Iterable[Records[Any]], kind: type, *names: str) -> Any:
    """Return columns of records of one kind as a pyarrow table, which of ten million takes less memory than the records."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = [schema(kind).empty_table().select(names)]
    for part in (part for some in records for part in some.parts()):
        with reading(part), pq.ParquetFile(part) as file:
            tables.append(file.read(columns=list(names), use_threads=False))
    return pa.concat_tables(tables, promote_options="default")


def read_records(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Any]:
    """Yield the records of one file, a row group at a time, so that a large file takes little memory."""
    for kind, table in _tables(path, start, stop):
        yield from _made(kind, table)


def _tables(path: Path, start: int, stop: int | None, wanted: Any = None) -> Iterator[tuple[type, Any]]:
    """Yield the class of the records of a file and a table of each row group, without those where `wanted` is false."""
    with reading(path):
        kind, groups = _layout(path, written := path.stat().st_mtime_ns)
    position = 0
    for number, rows in enumerate(groups):
        first, last = max(0, start - position), rows if stop is None else min(rows, stop - position)
        mask = None if wanted is None else wanted[position + first : position + last]
        position += rows
        if first < last and (mask is None or mask.any()):
            with reading(path):
                table = _row_group(path, written, number).slice(first, last - first)
            yield kind, table if mask is None else table.filter(mask)


def _made(kind: type, table: Any) -> Iterator[Any]:
    """Yield the records of a table, column by column, which is twice as fast as a dictionary per row."""
    names, hints = schema(kind).names, typing.get_type_hints(kind)
    for batch in table.to_batches(max_chunksize=BATCH):
        if _is_of_first_edition(kind, batch):
            yield from map(partial(_of_first_edition, kind), batch.to_pylist())
        else:
            yield from map(kind, *(_values(batch.column(name), hints[name]) for name in names[: batch.num_columns]))


def _is_of_first_edition(kind: type, table: Any) -> bool:
    return "provenance" in schema(kind).names and "provenance" not in table.schema.names


def _values(column: Any, hint: Any) -> list[Any]:
    """Return the values of a column as fields of a record: structs as records, lists of structs as tuples."""
    if typing.get_origin(hint) is tuple:
        inner = iter(_values(column.flatten(), typing.get_args(hint)[0]))
        return [tuple(islice(inner, length)) for length in column.value_lengths().to_pylist()]
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        parts = zip(fields(hint), column.flatten(), strict=True)
        return list(map(typing.cast(type, hint), *(_values(part, hints[spec.name]) for spec, part in parts)))
    return list(column.to_pylist())


def _of_first_edition(kind: type, row: dict[str, Any]) -> Any:
    """Return a record of version 0.1, which had a column for each part of the messages and of the provenance."""
    provenance = Provenance(**{spec.name: row.pop(spec.name, "") for spec in fields(Provenance)})
    if "output" in row:
        row["messages"] = exchange(row.pop("instruction"), row.pop("output"), row.pop("segment_id", ""))
    if "seed" in row:
        row["random_seed"] = row.pop("seed")
    return kind(provenance=provenance, **row)


def write_records(path: Path, kind: type, records: Any, metadata: dict[str, str] | None = None) -> None:
    """Write records of one kind, a list or a table of pyarrow, to `path`, whole or not at all.

    The bytes depend on the records and the metadata alone, so two equal runs give equal files.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    import pyarrow.parquet as pq

    table = table_of(kind, records) if isinstance(records, list) else records
    table = table.replace_schema_metadata({**schema(kind).metadata, **(metadata or {})})
    with atomic(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=ROW_GROUP)


def table_of(kind: type, records: list[Any]) -> Any:
    """Return records as a table of pyarrow."""
    import pyarrow as pa

    columns = [_array([getattr(record, field.name) for record in records], field.type) for field in schema(kind)]
    return pa.Table.from_arrays(columns, schema=schema(kind))


def _array(values: list[Any], kind: Any) -> Any:
    """Return the values of a field as an array, those of records inside records column by column."""
    import pyarrow as pa

    if pa.types.is_list(kind) and pa.types.is_struct(kind.value_type):
        ends = accumulate(map(len, values), initial=0)
        inner = _array(list(chain.from_iterable(values)), kind.value_type)
        return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), inner, type=kind)
    if pa.types.is_struct(kind):
        parts = [_array([getattr(value, field.name) for value in values], field.type) for field in kind]
        return pa.StructArray.from_arrays(parts, fields=list(kind))
    return pa.array(values, kind)


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(hide_in(value), indent=2, ensure_ascii=False) + "\n", "utf-8")


def write_outcome(folder: Path, piece: int, kind: type[R], outcome: Outcome[R]) -> None:
    """Write the outcome of one piece of work; the kept file, which marks the piece as done, comes last."""
    assert all(counts.balanced() for counts in outcome.counts.values()), outcome.counts
    write_records(folder / f"rejected-{piece:05d}.parquet", Rejection, _hidden(sampled(outcome.dropped)))
    metadata = {"askback.counts": json.dumps({stage: asdict(count) for stage, count in outcome.counts.items()})}
    for name, numbers in (("reasons", outcome.reasons), ("tallies", outcome.tallies)):
        if numbers:
            metadata[f"askback.{name}"] = json.dumps(numbers, sort_keys=True)
    kept = _hidden(outcome.kept) if outcome.table is None else outcome.table
    write_records(kept_path(folder, piece), kind, kept, metadata)


def _hidden(records: list[Any]) -> list[Any]:
    """Return records without the values of variables in their origins and details."""
    if not any_hidden():
        return records
    return [_without_values(record) for record in records]


def _without_values(record: Any) -> Any:
    texts = {name: getattr(record, name, "") for name in ("uri", "source", "detail", "model_id")}
    changed = {name: hide(text) for name, text in texts.items() if text}
    if provenance := getattr(record, "provenance", None):
        changed["provenance"] = _without_values(provenance)
    return replace(record, **changed)


def is_done(folder: Path, piece: int) -> bool:
    """Return whether a piece of work is finished."""
    return kept_path(folder, piece).exists()


def piece_outcome(folder: Path, piece: int) -> Outcome[Any]:
    """Return the counts, reasons and tallies of a finished piece, without its records."""
    with reading(path := kept_path(folder, piece)):
        stored = _metadata(path).metadata
        counts, reasons, tallies = (
            json.loads(stored.get(f"askback.{name}".encode(), b"{}")) for name in ("counts", "reasons", "tallies")
        )
        made = {stage: Counts(**count) for stage, count in counts.items()}
    return Outcome(counts=made, reasons=reasons, tallies=tallies)


def whole_outcomes(folder: Path) -> Iterator[Outcome[Any]]:
    """Yield the outcome of each piece of a finished step, with the records that are written of it."""
    for number in range(len(Records[Any](folder, "").parts())):
        kept, dropped = (list(read_records(folder / f"{name}-{number:05d}.parquet")) for name in ("kept", "rejected"))
        yield replace(piece_outcome(folder, number), kept=kept, dropped=dropped)


def kept_path(folder: Path, piece: int) -> Path:
    """Return the file of the records that one piece of work keeps."""
    return folder / f"kept-{piece:05d}.parquet"


def _rows_in(path: Path) -> int:
    with reading(path):
        return sum(_layout(path, path.stat().st_mtime_ns)[1])


# Cached by path and time of change.
@lru_cache(maxsize=65536)
def _layout(path: Path, written: int) -> tuple[type, tuple[int, ...]]:
    """Return the class of the records of a file, and the number of records in each row group."""
    found = _metadata(path)
    return _kind(found), tuple(found.row_group(number).num_rows for number in range(found.num_row_groups))


@lru_cache(maxsize=2)
def _row_group(path: Path, written: int, number: int) -> Any:
    """Return one row group; cached, as consecutive pieces of a worker are often in the same."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read_row_group(number, use_threads=False)


def _kind(described: Any) -> type:
    """Return the class of the records of a file's metadata or a table's schema."""
    return RECORDS[described.metadata[b"askback.record"].decode()]


def _metadata(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_metadata(path)
