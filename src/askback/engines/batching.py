"""Batches of token rows for a forward pass; no tensors here."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens to read, and the log-probabilities `wanted`: (position, token) pairs, of the token after the position."""

    ids: list[int]
    wanted: list[tuple[int, int]] = field(default_factory=list)


def continuation(context: list[int], answer: list[int]) -> Row:
    """Return the row that wants the log-probabilities of `answer` after `context`; its last token need not be read."""
    return Row(context + answer[:-1], [(len(context) + at - 1, token) for at, token in enumerate(answer)])


def batches(lengths: Sequence[int], budget: int, packed: bool = False) -> list[list[int]]:
    """Group row numbers, longest row first, so that rows × longest, or their sum where `packed`, is at most `budget`.

    Rows of similar length share a batch, so there is little padding, and the batch that needs the most memory is first. A
    row longer than the budget has a batch of its own.
    """
    groups: list[list[int]] = []
    longest = room = 0
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        if not groups or (lengths[number] if packed else longest) > room:
            groups.append([])
            longest, room = lengths[number], budget
        groups[-1].append(number)
        room -= lengths[number] if packed else longest
    return groups


def common_prefix(rows: Sequence[list[int]]) -> int:
    """Return the length of the common prefix of all rows, in tokens."""
    if not rows:
        return 0
    # No two rows differ earlier than the first and the last in order.
    first, last = min(rows), max(rows)
    for at, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return at
    return min(len(first), len(last))


def shared_prefix(rows: Sequence[Row]) -> int:
    """Return the length of the prefix that can be read once for all rows: a common one, without wanted tokens."""
    if len(rows) < 2:
        return 0
    first_wanted = min((row.wanted[0][0] for row in rows if row.wanted), default=0)
    return min(common_prefix([row.ids for row in rows]), first_wanted)
