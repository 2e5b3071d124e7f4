"""Pairs to label elsewhere, in Argilla or Label Studio, and labels from elsewhere into the run's own file."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from askback import owned
from askback.curate.label_file import NAME, Event, LabelFile, Shown, now
from askback.curate.labels import Rated, keys_of, whole
from askback.errors import RecipeError
from askback.execution.run import claim_run
from askback.records import Message, record_id
from askback.review.pairs import Pairs
from askback.review.queues import Queues, View

CONFIGURATION = (
    '<View><Header value="$instruction"/><Text name="output" value="$output"/>'
    '<Rating name="label" toName="output" maxRating="5"/></View>'
)
"""The labelling interface of a Label Studio project that takes these tasks."""


def argilla(pair: str, messages: tuple[Message, ...]) -> dict[str, Any]:
    """Return a record as Argilla's `records.from_json` reads it, of a data set with the rating question "label"."""
    fields = {"instruction": messages[-2].content, "output": messages[-1].content}
    return {"id": pair, "fields": fields, "metadata": {}, "suggestions": {}, "responses": {}, "vectors": {}}


def label_studio(pair: str, messages: tuple[Message, ...]) -> dict[str, Any]:
    """Return a task as Label Studio imports it (`CONFIGURATION`)."""
    return {"data": {"pair": pair, "instruction": messages[-2].content, "output": messages[-1].content}}


FORMATS = {"argilla": argilla, "label-studio": label_studio}


def write_out(run: Path, out: Path, format: str, count: int) -> int:
    """Write the first pairs of the random queue to a new file, without what the judge said of them; return their number.

    Raises:
        RecipeError: there is no such format.
        InputError: the run has no pairs, or the file exists.
    """
    if format not in FORMATS:
        raise RecipeError(f"--format {format}: allowed are {' and '.join(FORMATS)}")
    pairs = Pairs(run)
    ids = Queues(pairs).ids(View())[:count]
    rows = [FORMATS[format](id, pairs.text(id).messages) for id in ids]
    owned.create(out, json.dumps(rows, ensure_ascii=False, indent=1))
    return len(rows)


def take_in(run: Path, path: Path, by: str) -> int:
    """Add the labels of a file to those of the run, each once, however often it is taken in; return how many were added.

    The run need not have begun: its folder is made.

    Args:
        by: whose they are, where the file does not say.

    Raises:
        InputError: the file cannot be read, a row is no label, or the folder is somebody else's.
    """
    events = list(_events(whole(path), path, by))
    claim_run(run)
    file = LabelFile(run / NAME)
    before = len(file.refresh().seen)
    for event in events:
        file.add(event)
    return len(file.refresh().seen) - before


def _events(found: Iterable[Rated], path: Path, by: str) -> Iterator[Event]:
    found = list(found)
    single = [one for one in found if not one.comparison]
    for one, key in zip(single, keys_of(single, path), strict=True):
        who = one.by or by
        shown = (Shown(one.pair, one.messages),)
        yield Event(
            id=record_id("taken in", one.pair, who, key), kind="label", by=who, at=now(), pairs=shown, given=key
        )
    compared: dict[str, list[Rated]] = defaultdict(list)
    for one in found:
        if one.comparison:
            compared[one.comparison].append(one)
    for left, right in compared.values():
        side = "tie" if left.label == right.label else "left" if left.label > right.label else "right"
        shown2 = (Shown(left.pair, left.messages), Shown(right.pair, right.messages))
        who = left.by or by
        id = record_id("taken in", left.pair, right.pair, who, side)
        yield Event(id=id, kind="comparison", by=who, at=now(), pairs=shown2, given=side)
