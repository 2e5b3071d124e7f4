"""Seed readers: from rows of a file to pairs and rejections, one for each answer in a row.

Each is a `Reader` in the file of its name; the names are in recipe/names.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from askback.inputs.rows import Rows
from askback.lookup import lookup
from askback.recipe.names import PAIRS
from askback.records import Rejection


@dataclass(frozen=True, slots=True)
class Pair:
    """An (instruction, output) pair as a reader found it; `where` is its file and line.

    `rank` is people's rank of the output among the answers to this instruction, 0 for the best.
    """

    where: str
    instruction: str
    output: str
    licence: str = ""
    language: str = ""
    rank: int = 0


Read = Callable[[Rows, str], Iterator[Pair | Rejection]]
"""``read(rows, language)``; a reader that knows the language of each text keeps only `language`."""


@dataclass(frozen=True)
class Reader:
    """A reader of one format."""

    read: Read
    ranked: Read | None = None
    """Reads lower-ranked answers too, with their ranks; None for a format without ranks."""


def reader(format: str) -> Reader:
    """Return the reader of a format."""
    found: Reader = lookup(PAIRS, format, "seed format")
    return found
