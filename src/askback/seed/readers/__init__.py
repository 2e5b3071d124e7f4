"""Seed readers: rows of a file → pairs, each with what was dropped and why. One unit of counting per answer offered.

One record each, in the file that is called like it; their names are in recipe/names.py.
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

    `rank` is what people gave the output among the answers to this instruction, 0 the best.
    """

    where: str
    instruction: str
    output: str
    licence: str = ""
    language: str = ""
    rank: int = 0


Read = Callable[[Rows, str], Iterator[Pair | Rejection]]
"""``read(rows, language)``; one that knows the language of a text keeps only `language`."""


@dataclass(frozen=True)
class Reader:
    """All there is to know of a reader."""

    read: Read
    ranked: Read | None = None
    """The same with answers that people ranked lower, where the rows tell ranks."""


def reader(format: str) -> Reader:
    """Return the reader of a format."""
    found: Reader = lookup(PAIRS, format, "seed format")
    return found
