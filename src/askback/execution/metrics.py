"""``metrics.jsonl`` of a run: a line per finished step, for programs that follow a run."""

import json
from pathlib import Path

from askback.execution.on_disk import step_record
from askback.owned import atomic

LEFT_OUT = ("identity", "fingerprint", "versions", "commit")
"""Fields of a step's record that are in ``step.json`` alone."""


def write_metrics(folder: Path) -> None:
    """Write all lines from the records of the steps, in the order they were finished.

    So the file is right whatever was made again, taken over or interrupted.
    """
    records = [step_record(path.parent) for path in folder.glob("*/step.json")]
    lines = [
        json.dumps({key: value for key, value in record.items() if key not in LEFT_OUT}, ensure_ascii=False)
        for record in sorted(records, key=lambda record: (record["finished"], record["step"]))
    ]
    with atomic(folder / "metrics.jsonl") as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), "utf-8")
