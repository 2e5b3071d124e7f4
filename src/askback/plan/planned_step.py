"""One step of a plan, and what is on disk of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askback.engines.usage import Tokens
from askback.errors import Drift
from askback.execution.identity import Input, Model, check_drift
from askback.execution.shards import Records
from askback.plan.sample import Pairs
from askback.recipe import Gate, HeldOut, Options, Score, Training

PACKED = 0.5
"""Bytes on disk for a character of text, in compressed Parquet."""
ROW_BYTES = 250
"""Of a record beside its text: ids, where it is from."""
WEIGHT_BYTES, CHECKPOINT_BYTES = 4 + 2, 12
"""For each parameter: float32 and the bfloat16 form; in a checkpoint, float32 and the optimiser's two moments."""


@dataclass
class PlannedStep:
    """One step of the plan. `state` is done, begun, to do, or changed (its folder was made with something else)."""

    name: str
    state: str
    inputs: frozenset[str]
    entered: int = 0
    role: str = ""
    """Whose rates it goes at: "augment", "score", "loss" or "train"; "" for what asks no model."""
    tokens: Tokens = field(default_factory=Tokens)
    seconds: float = 0.0
    usd: float = 0.0
    disk: int = 0
    """Bytes of its output."""
    scratch: int = 0
    """Bytes that it needs beside its output while it runs."""
    memory: float = 0.0
    """Of a training, GB of a card's memory that each process needs."""
    drift: str = ""

    def look_at_disk(self, folder: Path, identity: dict[str, Any]) -> None:
        """Set the state: how far the step is, and whether its folder was made with other options or inputs."""
        try:
            check_drift(folder, self.name, identity)
        except Drift as drift:
            self.state, self.drift = "changed", str(drift)
            return
        if (folder / "step.json").exists():
            self.state = "done"
        elif (folder / "plan.json").exists():
            self.state = "begun"

    def fill(self, options: Options, known: Pairs, parameters: int) -> None:
        """Set the bytes of disk that the step takes, of its output and beside it."""
        if isinstance(options, Training):
            self.disk = WEIGHT_BYTES * parameters
            # A new checkpoint is whole before the one before it goes.
            self.scratch = 0 if options.lora else 2 * CHECKPOINT_BYTES * parameters
        elif isinstance(options, Score):
            self.disk = ROW_BYTES * known.count * len(options.scorers)
        elif not isinstance(options, Gate | HeldOut):
            self.disk = round(known.count * (ROW_BYTES + PACKED * known.chars))

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        fields = ("name", "state", "entered", "seconds", "usd", "disk", "scratch", "memory")
        tokens = {kind: count for kind, count in self.tokens._asdict().items() if count}
        return {name: getattr(self, name) for name in fields} | {"tokens": tokens}


def step_of(handle: Records[Any] | Model) -> str:
    """Return the name of the step that makes something."""
    return (handle.folder if isinstance(handle, Records) else handle.path.parent).name


def record_sets(inputs: dict[str, Input]) -> Iterator[Records[Any]]:
    """Yield the record sets among a step's inputs; lists first come first."""
    for value in inputs.values():
        if isinstance(value, Records):
            yield value
        elif not isinstance(value, Model):
            yield from (one for one in value if isinstance(one, Records))
