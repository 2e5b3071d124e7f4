"""The part of a page that its text stands in, found by where its prose is (ours)."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate

from askback.corpus.hidden import VOID
from askback.corpus.walk import Block, Walk

PROSE = 40
"""A block is prose here if it has at least this many characters outside of links."""
SHARE_OF_PARENT, SHARE_OF_PAGE = 0.65, 0.6
"""The main part is the smallest element that holds, on every level, at least these shares of the prose."""
PROSE_SHARE, PROSE_CHARS = 0.8, 60
"""An element beside it belongs to it if prose is at least this share of its text, and this many characters."""
LEAD = 700
"""Characters of prose, at most, that are kept between the page's title and the main part."""
NEAR = 6
"""A header of the second level is the title if at most this many blocks stand between it and the main part."""
LEVELS = 60
"""Most levels of nesting that are looked into."""

_LAYOUT_TABLE = {"table", "tbody", "tr"}
_CONTAINERS = {"body", "div", "main", "article", "section", "center", "form", "td", *_LAYOUT_TABLE}

Span = tuple[int, int]


def main_part(walk: Walk, left_out: Counter[str]) -> list[Block]:
    """Return the blocks of a page's main part, with the title and the lead above it; all blocks if there is none.

    Args:
        walk: over the page; it has been run.
        left_out: takes the characters of the other blocks.
    """
    blocks = walk.blocks
    page = _Prose(blocks)
    path = _path(walk, page)
    if not path:
        return blocks
    kept = [False] * len(blocks)
    first, last = page.blocks_in(path[-1][0])
    kept[first:last] = [True] * (last - first)
    for _, siblings in path:
        for sibling in siblings:
            first, last = page.blocks_in(sibling)
            if page.prose(first, last) >= max(PROSE_SHARE * page.size(first, last), PROSE_CHARS):
                kept[first:last] = [True] * (last - first)
    _keep_title(blocks, page, kept)
    left_out["outside the main part"] += sum(
        len(block.text) for block, stays in zip(blocks, kept, strict=True) if not stays
    )
    return [block for block, stays in zip(blocks, kept, strict=True) if stays]


class _Prose:
    """How much prose and text stands in which tags of a page."""

    def __init__(self, blocks: list[Block]) -> None:
        self._places = [block.at for block in blocks]
        self._prose = [0, *accumulate(map(_prose, blocks))]
        self._sizes = [0, *accumulate(len(block.text) for block in blocks)]

    def blocks_in(self, span: Span) -> Span:
        """Return the numbers of the first block in an element and of the first behind it."""
        return bisect_right(self._places, span[0]), bisect_right(self._places, span[1])

    def prose(self, first: int, last: int) -> int:
        """Return the characters of prose from one block to before another."""
        return self._prose[last] - self._prose[first]

    def size(self, first: int, last: int) -> int:
        """Return all characters from one block to before another."""
        return self._sizes[last] - self._sizes[first]


def _prose(block: Block) -> int:
    size = 0 if block.level else len(block.text) - block.linked
    return size if size >= PROSE else 0


def _path(walk: Walk, page: _Prose) -> list[tuple[Span, list[Span]]]:
    """Return the elements on the way down to the main part, the smallest last, each with the elements beside it."""
    span: Span | None = (0, len(walk.tags))
    total = page.prose(*page.blocks_in((0, len(walk.tags))))
    path: list[tuple[Span, list[Span]]] = []
    while span and total and len(path) < LEVELS:
        least = max(SHARE_OF_PARENT * page.prose(*page.blocks_in(span)), SHARE_OF_PAGE * total)
        children = list(_children(walk, *span))
        found = (one for one in children if page.prose(*page.blocks_in(one)) >= least)
        span = next((one for one in found if walk.tags[one[0]] in _CONTAINERS), None)
        if span:
            path.append((span, [one for one in children if one != span]))
    while path and walk.tags[path[-1][0][0]] in _LAYOUT_TABLE:  # a table of data, or one whose cells share the prose
        path.pop()
    return path


def _children(walk: Walk, start: int, end: int) -> Iterator[Span]:
    tags, at = walk.tags, start + 1
    while at < end:
        tag = tags[at]
        if not tag or tag[0] == "/" or tag in VOID:
            at += 1
            continue
        close = walk.close_of(at)
        yield at, close
        at = close + 1


def _keep_title(blocks: list[Block], page: _Prose, kept: list[bool]) -> None:
    """Keep the header above the main part that is the page's title, and the lead under it."""
    start = kept.index(True) if True in kept else 0
    if blocks[start : start + 1] and blocks[start].level == 1:
        return
    above = [(at, blocks[at].level) for at in reversed(range(start)) if blocks[at].level in (1, 2)]
    titles = [at for at, level in above if level == 1] or [at for at, level in above if start - at < NEAR]
    if titles:
        title = titles[0]
        kept[title] = True
        for at in range(title + 1, start):
            kept[at] = _prose(blocks[at]) > 0 and page.prose(title, at + 1) <= LEAD
