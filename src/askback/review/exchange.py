"""Pairs to label elsewhere, in Argilla or Label Studio, and labels from elsewhere into the run's own file."""

import json
import secrets
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from askback import owned
from askback.curate.label_file import NAME, Event, Kind, LabelFile, Labels, Shown, events, now
from askback.curate.labels import Rated, is_label_file, keys_of, whole
from askback.errors import RecipeError
from askback.execution.run import claim_run
from askback.records import Message
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
    """Add what a file says of pairs to the run's labels, and return the number of labels and comparisons added.

    Of a labels.jsonl, all events are added that the run has not, edits, comments and undoing too. Of another file, a label
    is added where another one stands of that person and pair, or none; so taking a file in twice adds nothing. The run need
    not have begun: its folder is made.

    Args:
        by: whose they are, where the file does not say.

    Raises:
        InputError: the file cannot be read, a row is no label, or the folder is somebody else's.
    """
    theirs = is_label_file(path)
    found = [replace(one, by=one.by or by) for one in events(path)] if theirs else _events(whole(path), path, by)
    claim_run(run)
    file = LabelFile(run / NAME)
    labels = file.refresh()
    new = [one for one in found if not (one.id in labels.seen if theirs else _stands(one, labels))]
    for event in new:
        file.add(event)
    return sum(event.kind in ("label", "comparison") for event in new)


def _events(found: Sequence[Rated], path: Path, by: str) -> list[Event]:
    """Return the labels and comparisons of a file as new events; of what a person said twice of a pair, the last."""
    single = [one for one in found if not one.comparison]
    said = [_event("label", one.by or by, [one], key) for one, key in zip(single, keys_of(single, path), strict=True)]
    compared: dict[str, list[Rated]] = defaultdict(list)
    for one in found:
        if one.comparison:
            compared[one.comparison].append(one)
    for left, right in compared.values():
        side = "tie" if left.label == right.label else "left" if left.label > right.label else "right"
        said.append(_event("comparison", left.by or by, [left, right], side))
    return list({(one.kind, one.by, frozenset(pair for pair, _ in one.pairs)): one for one in said}.values())


def _event(kind: Kind, by: str, pairs: Sequence[Rated], given: str) -> Event:
    shown = tuple(Shown(one.pair, one.messages) for one in pairs)
    return Event(id=secrets.token_hex(8), kind=kind, by=by, at=now(), pairs=shown, given=given)


def _stands(event: Event, labels: Labels) -> bool:
    """Return whether what an event says is what its person says of its pairs already."""
    if event.kind == "label":
        label = labels.label(event.by, event.pairs[0].pair)
        return label is not None and label.level == event.level
    before = labels.comparisons.get((event.by, frozenset(one.pair for one in event.pairs)))
    return before is not None and _better(before) == _better(event)


def _better(comparison: Event) -> str:
    """Return the better pair of a comparison, "" in a tie."""
    return {"left": comparison.pairs[0].pair, "right": comparison.pairs[1].pair}.get(comparison.given, "")
