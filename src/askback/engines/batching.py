"""How rows of tokens are put together for a forward pass; no tensors here."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens to be read, and which log-probabilities to return: of `token`, as what follows position `position`."""

    ids: list[int]
    wanted: list[tuple[int, int]] = field(default_factory=list)


def continuation(context: list[int], answer: list[int]) -> Row:
    """Return the row whose wanted values are those of `answer` after `context`; its last token need not be read."""
    return Row(context + answer[:-1], [(len(context) + at - 1, token) for at, token in enumerate(answer)])


LIKE = 0.9
"""Least length of a row read with others, as a share of the longest: 4 % padding in place of 9 % for 32 pairs."""
FULL_ENOUGH = 0.25
"""Share of its budget from which a batch is full enough that another batch costs little more."""


def batches(lengths: Sequence[int], budget: int, like: float = 0.0) -> list[list[int]]:
    """Group row numbers, longest row first, so that rows × longest is at most `budget`.

    Rows of like length come together, so little is padding, and the batch that needs the most memory comes first. A row
    longer than the budget goes alone.

    Args:
        like: a row shorter than this share of the longest begins a new batch, if the last is full enough. Reading costs
            by the token, padding included, so there a share near 1 pays; drawing costs by the pass.
    """
    groups: list[list[int]] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        rows, longest = (len(groups[-1]), lengths[groups[-1][0]]) if groups else (0, 0)
        alike = lengths[number] >= like * longest or rows * longest < FULL_ENOUGH * budget
        if groups and alike and (rows + 1) * longest <= budget:
            groups[-1].append(number)
        else:
            groups.append([number])
    return groups


def common_prefix(rows: Sequence[list[int]]) -> int:
    """Return how many tokens all rows begin with."""
    if not rows:
        return 0
    # The first and the last in order differ as early as any two.
    first, last = min(rows), max(rows)
    for at, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return at
    return min(len(first), len(last))


def shared_prefix(rows: Sequence[Row]) -> int:
    """Return how many tokens at the start of all rows may be read once for all, none of them wanted.

    0 when there is one row, so nothing to share.
    """
    if len(rows) < 2:
        return 0
    first_wanted = min((row.wanted[0][0] for row in rows if row.wanted), default=0)
    return min(common_prefix([row.ids for row in rows]), first_wanted)
