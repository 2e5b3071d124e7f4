"""Rows of Parquet files. What cannot be read costs the row it is in, or the rest of its row group, and not the file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from askback.errors import InputError, reason_of
from askback.inputs.json_values import BrokenRow, Rows
from askback.inputs.local_files import open_file
from askback.inputs.remote import File, Unreachable
from askback.lookup import nearest

BATCH_ROWS, BATCH_BYTES = 256, 16_000_000
"""Rows that are unpacked at a time, fewer where they are large."""


def parquet_rows(path: File, columns: Sequence[str] = ()) -> Rows:
    """Yield the rows of a Parquet file, a few hundred in memory at a time.

    A value that a file has once, in its dictionary, is in memory once, however many rows have it.

    A value that is none (text that is not UTF-8, a date out of any calendar) breaks its row. A page that cannot be
    unpacked or read breaks the rows from there to the end of its row group, which fail as one; the next row group is read.

    Args:
        columns: read only these, as far as they are there; the first has to be.

    Raises:
        InputError: the first of `columns` is not there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with open_file(path) if isinstance(path, Path) else path.open("rb") as data, pq.ParquetFile(data) as plain:
            file = pq.ParquetFile(data, metadata=plain.metadata, read_dictionary=_in_dictionaries(plain))
            names = plain.schema_arrow.names
            if columns and columns[0] not in names:
                hint = nearest(columns[0], names)
                raise InputError(f"{path}: no column '{columns[0]}'; it has {', '.join(names)}.{hint} Set text_field")
            wanted = [name for name in columns if name in names] or None
            for group in range(file.num_row_groups):
                for at, row in enumerate(_group_rows(file, group, wanted), number + 1):
                    yield f"{path}#{at}", row
                number += file.metadata.row_group(group).num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        rule = "clipped" if number else "unreadable"
        yield f"{path}#{number + 1}", BrokenRow(rule, f"cannot be read from row {number + 1} on: {reason_of(error)}")


def _group_rows(file: Any, group: int, columns: Sequence[str] | None) -> Iterator[dict[str, Any] | BrokenRow]:
    """Yield the rows of a row group; if reading stops, they are read one by one up to the page that is broken."""
    import pyarrow as pa

    about = file.metadata.row_group(group)
    count = about.num_rows
    done = 0
    for size in (max(1, min(BATCH_ROWS, BATCH_BYTES * count // max(1, about.total_byte_size))), 1):
        at = 0
        try:
            for batch in file.iter_batches(size, row_groups=[group], columns=columns):
                if at >= done:
                    for row in _batch_rows(batch):
                        done += 1
                        yield row
                at += batch.num_rows
            return
        except Unreachable:
            raise
        except (pa.ArrowException, OSError) as error:
            broken = error
    lost = f"row {done + 1} to {count} of row group {group + 1} cannot be read"
    yield BrokenRow("unreadable", f"{lost}: {reason_of(broken)}")


def _in_dictionaries(file: Any) -> list[str]:
    """Return the columns of text or bytes that have a dictionary in some row group."""
    import pyarrow as pa

    kinds = (pa.types.is_string, pa.types.is_binary, pa.types.is_large_string, pa.types.is_large_binary)
    texts = {field.name for field in file.schema_arrow if any(is_kind(field.type) for is_kind in kinds)}
    groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
    columns = (group.column(number) for group in groups for number in range(group.num_columns))
    return sorted({column.path_in_schema for column in columns if column.has_dictionary_page} & texts)


def _batch_rows(batch: Any) -> Iterator[dict[str, Any] | BrokenRow]:
    import pyarrow as pa

    if any(pa.types.is_dictionary(field.type) for field in batch.schema):
        yield from (_row(batch, at) for at in range(batch.num_rows))
        return
    try:
        rows: list[dict[str, Any] | BrokenRow] = batch.to_pylist()
    except Exception:  # noqa: BLE001  by the kind of value, pyarrow raises errors of its own, of Unicode, of dates
        rows = [_row(batch, at) for at in range(batch.num_rows)]
    yield from rows


def _row(batch: Any, at: int) -> dict[str, Any] | BrokenRow:
    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[at].as_py()
        except Exception as error:  # noqa: BLE001  as above
            rule = "undecodable" if isinstance(error, UnicodeDecodeError) else "unreadable"
            return BrokenRow(rule, f"column '{name}': {type(error).__name__}: {reason_of(error)}")
    return row
