"""Pairs that a user has rated, as probes."""

from pathlib import Path
from typing import Any

from askback.config import Labels
from askback.execution.identity import file_fingerprint, recorded
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.records import Outcome, Probe, fail, record_id
from askback.rows import BrokenRow, read_rows

WORDS = {"good": 1.0, "bad": 0.0}


@recorded(version=1, sources=lambda options: {options.path: file_fingerprint(Path(options.path))})
def load_labels(step: Step, options: Labels) -> Records:
    """Read pairs that a user has rated, as probes with a label."""
    outcome = Outcome()
    for where, row in read_rows(Path(options.path)):
        if options.limit is not None and len(outcome.kept) == options.limit:
            break
        found = _labelled(where, row)
        if isinstance(found, Probe):
            outcome.keep("labels", found)
        else:
            outcome.drop(fail(record_id(where), "labels", "broken", found, uri=where))
    return step.write(Probe, [outcome])


def _labelled(where: str, row: dict[str, Any] | BrokenRow) -> Probe | str:
    if isinstance(row, BrokenRow):
        return str(row)
    given = row.get("label", row.get("rating"))
    label = WORDS.get(str(given).lower(), given)
    texts = row.get("instruction"), row.get("output")
    if not isinstance(label, (int, float)) or not all(isinstance(text, str) and text.strip() for text in texts):
        keys = ", ".join(map(str, row))
        return f"expected 'instruction', 'output' and a number (or good, bad) under 'label' or 'rating'; found {keys}"
    id = record_id("labelled", where, *map(str, texts))
    return Probe(id, id, "labelled", str(texts[0]), str(texts[1]), where, float(label))
