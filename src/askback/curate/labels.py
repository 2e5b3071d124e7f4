"""Pairs that people have rated or compared: any file of them, as they stand and as probes.

Read are ``labels.jsonl`` of the review page (label_file.py), records of Argilla, tasks of Label Studio, and rows of CSV,
JSON or Parquet: of instruction, output and label, or of instruction, output_1, output_2 and preference.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from askback.curate.label_file import (
    DROP,
    KEEP,
    LEVELS,
    Event,
    Verdict,
    event_of,
    events,
    pair_of,
    read_labels,
    split_of,
)
from askback.errors import InputError
from askback.execution.identity import file_fingerprint, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.inputs.json_values import as_text, filled, kind
from askback.inputs.packed import open_bytes, unpacked_name
from askback.inputs.rows import BrokenRow, Rows, read_rows
from askback.recipe import Labels
from askback.records import Message, Probe, Provenance, exchange, fail, record_id

WORDS = {"good": 1.0, "bad": 0.0, "true": 1.0, "false": 0.0, "keep": 1.0, "drop": 0.0}
FIELDS = {
    "instruction": ("instruction", "prompt", "question"),
    "output": ("output", "response", "answer", "completion"),
    "label": ("label", "rating", "quality"),
}
"""Names under which rows have a text or a label."""
Scale = Literal["levels", "good or bad", ""]
"""What labels go by: levels from 1 to 5, or 1 for good and 0 for bad; "" of numbers that do not say, and of others."""
READING = 2
"""Version of how a file of labels is read, which counts in the identity of the steps that read one."""
PREFERENCES = {
    **dict.fromkeys(("1", "1.0", "output_1", "a", "first"), (1.0, 0.0)),
    **dict.fromkeys(("2", "2.0", "output_2", "b", "second"), (0.0, 1.0)),
    **dict.fromkeys(("0", "0.0", "1.5", "tie", "draw", "equal", "both", "same"), (0.5, 0.5)),
}


@dataclass(frozen=True, slots=True)
class Rated:
    """A pair with the label that one person gave it, as that person saw it; `pair` is the id of the pair as it was made.

    Of two pairs that were compared, both have the same `comparison`; the label is 1 of the better one, 0 of the other, 0.5
    of both in a tie.
    """

    pair: str
    messages: tuple[Message, ...]
    label: float
    where: str
    by: str = ""
    comparison: str = ""
    scale: Scale = ""


def labels_fingerprint(path: Path) -> str:
    """Return what a file of labels counts by in an identity: its content, and how it is read."""
    return f"{file_fingerprint(path)}, reading {READING}"


def teaching(path: Path) -> list[Rated]:
    """Return the pairs of a file that may teach a judge: those of the split "dev" (label_file.py).

    Of two pairs that were compared, both have to be in it. Rows that are no label are passed over; `rated` tells which.
    """
    found = [one for _, one in rated(path) if isinstance(one, Rated)]
    tested = {one.comparison or one.pair for one in found if split_of(one.pair) == "test"}
    return [one for one in found if (one.comparison or one.pair) not in tested]


def verdicts(path: Path) -> dict[str, Verdict]:
    """Return pair → whether people want it, of a file whose labels are good or bad, 0 or 1, or levels from 1 to 5.

    Raises:
        InputError: the labels are something else, or a row is none.
    """
    if is_label_file(path):
        return read_labels(path).verdicts()
    found = [one for one in whole(path) if not one.comparison]
    votes: dict[str, list[int]] = defaultdict(list)
    for one, key in zip(found, keys_of(found, path), strict=True):
        votes[one.pair].append((LEVELS[key] >= KEEP) - (LEVELS[key] <= DROP))
    return {pair: Verdict(sum(of) > 0, ("people",)) for pair, of in votes.items() if sum(of)}


def keys_of(found: Sequence[Rated], path: Path) -> list[str]:
    """Return the key of the review page that means the label of each pair: y or n of good or bad, or 1 to 5.

    Raises:
        InputError: the labels of the file are something else.
    """
    if others := [one.label for one in found if not one.scale]:
        raise InputError(
            f"{path}: labels go from {min(others):g} to {max(others):g}; expected good or bad, 0 or 1, or levels from 1 "
            "to 5"
        )
    return [f"{one.label:.0f}" if one.scale == "levels" else "y" if one.label else "n" for one in found]


def whole(path: Path) -> list[Rated]:
    """Return all pairs of a file.

    Raises:
        InputError: the file cannot be read, or has a row that is no label; the message names the first.
    """
    found, broken = [], []
    for where, one in rated(path):
        if isinstance(one, str):
            broken.append(f"{where}: {one}")
        else:
            found.append(one)
    if broken:
        raise InputError(f"{broken[0]}" + (f" (and {len(broken) - 1:,} rows more)" if broken[1:] else ""))
    return found


def rated(path: Path) -> list[tuple[str, Rated | str]]:
    """Return (where, a rated pair, or why a row is none); a row may hold several. All labels are on one scale."""
    found = list(_of_events(path) if is_label_file(path) else _of_rows(path))
    scale = _scale_of([one for _, one in found if isinstance(one, Rated) and not one.comparison])
    return [(where, one if isinstance(one, str) or one.comparison else _on_scale(one, scale)) for where, one in found]


def _scale_of(ratings: Sequence[Rated]) -> Scale:
    """Return the scale of a file: numbers that are 0 and 1 alone say good or bad, those from 1 to 5 are levels."""
    numbers = {one.label for one in ratings if not one.scale}
    levels = any(one.scale == "levels" for one in ratings)
    if numbers <= {0.0, 1.0} and not levels:
        return "good or bad"
    return "levels" if numbers <= set(map(float, LEVELS.values())) else ""


def _on_scale(one: Rated, scale: Scale) -> Rated:
    """Return a rated pair on the scale of its file; good and bad beside levels are the highest and the lowest."""
    word = scale == "levels" and one.scale == "good or bad"
    return replace(one, scale=scale, label=float(LEVELS["y" if one.label else "n"]) if word else one.label)


def _of_rows(path: Path) -> Iterator[tuple[str, Rated | str]]:
    named = unpacked_name(path.name).lower()
    for where, row in _csv_rows(path) if named.endswith((".csv", ".tsv")) else read_rows(path):
        if isinstance(row, BrokenRow):
            yield where, str(row)
            continue
        read = next(read for wanted, read in FORMS if wanted <= row.keys())
        for one in read(where, row):
            yield where, one


def is_label_file(path: Path) -> bool:
    """Return whether a file was written by the review page."""
    try:
        with path.open("rb") as file:
            return any(event_of(line) for line in (file.readline(100_000_000), file.readline(100_000_000)))
    except OSError:
        return False


def _of_events(path: Path) -> Iterator[tuple[str, Rated | str]]:
    labels = read_labels(path)
    counting = {event.id for event in labels.standing.values()} | {one.id for one in labels.comparisons.values()}
    for event in events(path):
        if event.id in counting:
            for one in _of_event(event, str(path)):
                yield f"{path}:{event.id}", one


def _of_event(event: Event, path: str) -> Iterator[Rated]:
    where = f"{path}:{event.id}"
    if event.kind == "label":
        (shown,) = event.pairs
        yield Rated(shown.pair, shown.messages, float(event.level), where, event.by, scale="levels")
        return
    values = {"left": (1.0, 0.0), "right": (0.0, 1.0), "tie": (0.5, 0.5)}[event.given]
    for shown, label in zip(event.pairs, values, strict=True):
        yield Rated(shown.pair, shown.messages, label, where, event.by, event.id)


def _csv_rows(path: Path) -> Rows:
    """Yield the rows of a CSV file; its first line, the names of the columns, tells what stands between two values.

    Ends of line in a cell become those of a candidate's text, as an id of a pair depends on them.
    """
    csv.field_size_limit(100_000_000)
    try:
        with open_bytes(path) as file:
            text = file.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        yield f"{path}:1", BrokenRow("unreadable", f"cannot be read as CSV in UTF-8: {error}")
        return
    head = io.StringIO(text, newline="").readline()
    lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count))
    try:
        for row in lines:
            extra = row.pop(None, None)
            broken = BrokenRow("broken-csv", f"{len(extra)} values more than there are columns") if extra else None
            yield f"{path}:{lines.line_num}", broken or {name: _lines(cell) for name, cell in row.items()}
    except csv.Error as error:
        yield f"{path}:{lines.line_num}", BrokenRow("broken-csv", f"is no CSV from here on: {error}")


def _lines(cell: str | None) -> str | None:
    return cell and cell.replace("\r\n", "\n").replace("\r", "\n")


def _ratings(where: str, row: dict[str, Any]) -> Iterator[Rated | str]:
    """Yield the pair of a row of instruction, output and label."""
    given = _given(row, "label")
    label = _number(given)
    if label is None:
        shown = f"{kind(given)} {str(given)[:40]!r}" if filled(given) else "nothing"
        yield f"expected a number (or good, bad) under 'label' or 'rating', found {shown}"
    else:
        messages = _messages(row, "output")
        scale: Scale = "good or bad" if _word(given) in WORDS else ""
        yield messages if isinstance(messages, str) else Rated(pair_of(messages), messages, label, where, scale=scale)


def _comparison(where: str, row: dict[str, Any]) -> Iterator[Rated | str]:
    """Yield the two pairs of a row of instruction, output_1, output_2 and preference."""
    given = row.get("preference")
    values = PREFERENCES.get(str(given).strip().lower())
    texts = [_messages(row, name) for name in ("output_1", "output_2")]
    if values is None:
        shown = f"{kind(given)} {str(given)[:40]!r}" if filled(given) else "nothing"
        yield f"expected 1, 2 or tie under 'preference', found {shown}"
    elif wrong := next((text for text in texts if isinstance(text, str)), ""):
        yield wrong
    else:
        for messages, label in zip(texts, values, strict=True):
            assert not isinstance(messages, str)
            yield Rated(pair_of(messages), messages, label, where, "", record_id("comparison", where))


def _argilla(where: str, row: dict[str, Any]) -> Iterator[Rated | str]:
    """Yield a pair for each answer to the question "rating" or "label" of a record, which is one of `Record.to_dict`."""
    responses = row["responses"] or {}
    if not isinstance(responses, dict):
        yield f"expected answers by question under 'responses', as Argilla 2 writes them, found {kind(responses)}"
        return
    answers = []
    for answer in (one for name in FIELDS["label"] for one in _listed(responses.get(name))):
        if not isinstance(answer, dict):
            yield f"expected objects under 'responses', found {kind(answer)}"
            return
        answers.append((answer.get("value"), str(answer.get("user_id") or "")))
    yield from _answered(where, row["fields"], answers)


def _label_studio(where: str, row: dict[str, Any]) -> Iterator[Rated | str]:
    """Yield a pair for each annotation of a task: its stars, or else its choice of keep or drop."""
    answers = []
    for annotation in _listed(row["annotations"]):
        if not isinstance(annotation, dict):
            yield f"expected objects under 'annotations', found {kind(annotation)}"
            return
        by = annotation.get("completed_by", "")
        by = str((by.get("email") or by.get("id") or "") if isinstance(by, dict) else by)
        results = [one.get("value") for one in _listed(annotation.get("result")) if isinstance(one, dict)]
        values = [one for one in results if isinstance(one, dict)]
        found = [one["rating"] for one in values if "rating" in one]
        found += [choice for one in values for choice in _listed(one.get("choices"))]
        if found and not annotation.get("was_cancelled"):
            answers.append((found[0], by))
    yield from _answered(where, row["data"], answers)


def _listed(value: Any) -> list[Any]:
    """Return the members of a list, none of null; another value is a list of itself."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _answered(where: str, fields: Any, answers: list[tuple[Any, str]]) -> Iterator[Rated | str]:
    """Yield a pair for each (level from 1 to 5, keep or drop; name)."""
    messages = _messages(fields, "output") if isinstance(fields, dict) else f"expected texts, found {kind(fields)}"
    if isinstance(messages, str):
        yield messages
        return
    for value, by in answers:
        word = {"keep": "y", "good": "y", "drop": "n", "bad": "n"}.get(str(value).lower(), str(value))
        if word in LEVELS:
            yield Rated(pair_of(messages), messages, float(LEVELS[word]), where, by, scale="levels")
        else:
            yield f"expected a level from 1 to 5, keep or drop, found {kind(value)} {str(value)[:40]!r}"


FORMS = (
    (frozenset(["fields", "responses"]), _argilla),
    (frozenset(["data", "annotations"]), _label_studio),
    (frozenset(["output_1", "output_2"]), _comparison),
    (frozenset[str](), _ratings),
)
"""What a row has, and how it is then read."""


def _given(row: dict[str, Any], name: str) -> Any:
    return next((row[one] for one in FIELDS.get(name, (name,)) if one in row), None)


def _word(given: object) -> str:
    return str(given).strip().lower()


def _number(given: object) -> float | None:
    """Return a label as a number, None if it is none."""
    label = WORDS.get(_word(given), given)
    if not isinstance(label, (str, int, float)):
        return None
    try:
        number = float(label)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _messages(row: dict[str, Any], output: str) -> tuple[Message, ...] | str:
    """Return the messages of a row, or what is missing."""
    texts = []
    for name in ("instruction", output):
        given = _given(row, name)
        if not isinstance(given, str) or not given.strip():
            there = any(one in row for one in FIELDS.get(name, (name,)))
            found = f"'{name}' holds {kind(given)}" if there else f"found keys {', '.join(map(str, row))[:200]}"
            return f"expected text under '{name}', {found}"
        texts.append(given)
    instruction = "\n\n".join(part for part in (texts[0], as_text(row.get("input"))) if part)
    return exchange(instruction, texts[1])


@recorded(version=4, sources=lambda options: {options.path: labels_fingerprint(Path(options.path))})
def load_labels(step: Step, options: Labels) -> Records[Probe]:
    """Read pairs that people have rated or compared, as probes; of what several people rated, the mean counts."""
    outcome = Outcome[Probe]()
    named: dict[str, list[Rated]] = defaultdict(list)
    for number, (where, one) in enumerate(rated(Path(options.path))):
        if options.limit is not None and len(outcome.kept) + len(named) == options.limit:
            break
        if isinstance(one, str):
            outcome.drop(fail(record_id(where, str(number)), "labels", "broken", one, uri=where))
        elif one.by and not one.comparison:
            named[one.pair].append(one)
        else:
            outcome.keep("labels", _probe([one]))
    for several in named.values():
        outcome.keep("labels", _probe(several))
    return step.write(Probe, [outcome])


def _probe(several: Sequence[Rated]) -> Probe:
    """Return the probe of a pair that one person has rated, or several."""
    one = several[-1]
    shown = (part.content for part in one.messages)
    about = "compared" if one.comparison else "labelled"
    id = record_id(about, one.where, *shown)
    label = sum(each.label for each in several) / len(several)
    return Probe(id, one.messages, Provenance(one.where), one.comparison or id, about, label)
