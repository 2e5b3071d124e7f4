"""How many candidates to make until enough are chosen, block by block (ours). Pure."""

import math

from askback.recipe import Selection

FIRST = 0.5
"""Size of the first block, as a share of the pairs that are wanted."""
LEAST = 32
"""Size of the smallest block: a piece of work."""
GROWTH = 3
"""A block is at most this many times as large as all before it, whose share of chosen pairs its size rests on."""


def next_block(asked: int, chosen: int, options: Selection, most: int) -> int:
    """Return how many more segments to ask about; 0 where there are enough pairs, or no more than `asked` may be.

    After the first block, as many as the pairs that lack would take if as large a share of these were chosen.

    Args:
        asked: number of segments so far.
        chosen: number of pairs that are chosen of them.
        most: number of segments to ask about at most.
    """
    assert options.until is not None
    lacking = options.until - chosen
    if lacking <= 0:
        return 0
    if not asked:
        size = math.ceil(FIRST * options.until)
    else:
        size = min(math.ceil(lacking * asked / chosen) if chosen else GROWTH * asked, GROWTH * asked)
    return max(0, min(max(LEAST, size), most - asked))
