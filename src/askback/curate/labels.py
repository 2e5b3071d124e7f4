"""Pairs that a user has rated, as probes."""

import math
from pathlib import Path
from typing import Any

from askback.execution.identity import file_fingerprint, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.inputs.json_values import as_text, filled, kind
from askback.inputs.rows import BrokenRow, read_rows
from askback.recipe import Labels
from askback.records import Probe, Provenance, exchange, fail, record_id

WORDS = {"good": 1.0, "bad": 0.0}


@recorded(version=3, sources=lambda options: {options.path: file_fingerprint(Path(options.path))})
def load_labels(step: Step, options: Labels) -> Records[Probe]:
    """Read pairs that a user has rated, as probes with a label."""
    outcome = Outcome[Probe]()
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
    if not isinstance(label, (int, float)) or not math.isfinite(label):
        shown = f"{kind(given)} {str(given)[:40]!r}" if filled(given) else "nothing"
        return f"expected a number (or good, bad) under 'label' or 'rating', found {shown}"
    for name in ("instruction", "output"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            found = f"'{name}' holds {kind(row[name])}" if name in row else f"found keys {', '.join(row)[:200]}"
            return f"expected text under '{name}', {found}"
    instruction = "\n\n".join(part for part in (row["instruction"], as_text(row.get("input"))) if part)
    id = record_id("labelled", where, instruction, row["output"])
    return Probe(id, exchange(instruction, row["output"]), Provenance(where), id, "labelled", float(label))
