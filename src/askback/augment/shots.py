"""Seed pairs that a prompt shows as examples: for each segment, some of those whose outputs are like it."""

import heapq
import math
import re
from functools import lru_cache
from pathlib import Path
from random import Random

from askback.execution.shards import Records
from askback.records import Example, Segment, draw

NEAREST = 4
"""Examples are drawn from this many times as many of the nearest, so that like segments show different ones."""
FORMS = tuple(
    re.compile(form, re.MULTILINE)
    for form in (
        r"^[ \t]*[-*+•] ",
        r"^[ \t]*\d{1,3}[.)] ",
        r"^[ \t]*#{1,6} ",
        r"^[ \t]*```",
        r"^[ \t]*\|",
        r"\n[ \t]*\n",
    )
)
"""Bullets, numbers, headers, code, tables, and paragraphs that end."""
OTHER_LANGUAGE = 3.0
"""What another language adds to a distance: as much as a text twenty times as long."""
Form = tuple[float, ...]


def choose_shots(seed: Records[Example], segment: Segment, count: int, random_seed: int) -> list[Example]:
    """Return `count` training pairs of the seed, drawn by the segment's id from the nearest ones; the nearest stands last.

    The distance is that of the logarithms of the lengths, and of the shares of lines in each of `FORMS` (ours).
    """
    if not count:
        return []
    own = form_of(segment.text)
    near = heapq.nsmallest(
        NEAREST * count,
        _forms(seed.folder, seed),
        key=lambda one: (_distance(own, one[0]) + _foreign(segment, one[1]), one[1].id),
    )
    drawn = Random(draw(random_seed, "shots", segment.id)).sample(range(len(near)), min(count, len(near)))
    return [near[at][1] for at in sorted(drawn, reverse=True)]


def form_of(text: str) -> Form:
    """Return what texts are compared by."""
    lines = text.count("\n") + 1
    return math.log(max(1, len(text))), *(min(1.0, len(form.findall(text)) / lines) for form in FORMS)


def _distance(one: Form, other: Form) -> float:
    return sum(abs(left - right) for left, right in zip(one, other, strict=True))


def _foreign(segment: Segment, example: Example) -> float:
    languages = {segment.provenance.language, example.provenance.language} - {""}
    return OTHER_LANGUAGE if len(languages) > 1 else 0.0


@lru_cache(maxsize=1)
def _forms(folder: Path, seed: Records[Example]) -> list[tuple[Form, Example]]:
    """Return the training pairs with the form of each; a worker reads them once."""
    return [(form_of(one.output), one) for one in seed if one.split == "train"]
