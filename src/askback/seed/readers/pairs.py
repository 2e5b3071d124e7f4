"""Pairs as two columns: {instruction, output}, and Alpaca's {instruction, input, output}."""

from collections.abc import Iterator
from typing import Any

from askback.records import Rejection, fail, record_id
from askback.rows import BrokenRow, Rows
from askback.seed.readers import Pair

STAGE = "pairs"


def broken(where: str, why: str) -> Rejection:
    """Say that a row cannot be used."""
    return fail(record_id(where), STAGE, "broken", why, uri=where)


def read_pairs(rows: Rows, language: str) -> Iterator[Pair | Rejection]:
    """Read {instruction, output} rows; `licence` and `language` are taken where a row has them."""
    for where, row in rows:
        yield _pair(where, row, "")


def read_alpaca(rows: Rows, language: str) -> Iterator[Pair | Rejection]:
    """Read {instruction, input, output} rows; a non-empty input follows the instruction after a blank line."""
    for where, row in rows:
        extra = row.get("input") if isinstance(row, dict) else None
        yield _pair(where, row, extra if isinstance(extra, str) else "")


def _pair(where: str, row: dict[str, Any] | BrokenRow, extra: str) -> Pair | Rejection:
    if isinstance(row, BrokenRow):
        return broken(where, str(row))
    texts = []
    for key in ("instruction", "output"):
        value = row.get(key)
        if not isinstance(value, str):
            found = f"found keys {', '.join(map(str, row))}" if key not in row else f"found {type(value).__name__}"
            return broken(where, f"expected a string under '{key}', {found}")
        texts.append(value)
    instruction, output = texts
    if extra.strip():
        instruction = f"{instruction.strip()}\n\n{extra.strip()}"
    return Pair(
        where, instruction, output, str(row.get("licence") or row.get("license") or ""), str(row.get("language") or "")
    )
