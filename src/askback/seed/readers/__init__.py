"""Seed readers: rows of a file → pairs, each with what was dropped and why. One unit of counting per answer offered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from askback.inputs.rows import Rows
from askback.records import Rejection

READERS = {
    "pairs": "askback.seed.readers.pairs:read_pairs",
    "alpaca": "askback.seed.readers.pairs:read_pairs",
    "messages": "askback.seed.readers.conversations:read_conversations",
    "sharegpt": "askback.seed.readers.conversations:read_conversations",
    "oasst-messages": "askback.seed.readers.oasst:read_messages",
    "oasst-trees": "askback.seed.readers.oasst:read_trees",
}


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


Reader = Callable[[Rows, str], Iterator[Pair | Rejection]]
"""``read(rows, language)``; a reader that knows the language of a text keeps only `language`."""
