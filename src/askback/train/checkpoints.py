"""Callbacks around the steps of a training: progress, metrics, and checkpoints that survive a kill."""

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from askback import owned
from askback.errors import InputError, Interrupted
from askback.train import distributed

SAVING_SHARE = 20
"""Least ratio of the time spent training to the time spent saving checkpoints."""

SEAL = "sealed"


class Watch:
    """Reports progress and metrics after each step; makes, seals and finds checkpoints.

    A checkpoint is valid once it is sealed: all its files are on disk, and a last one, the seal, holds the job's mark. A
    kill at any moment leaves the one before. ``metrics.jsonl`` has one line per step, of this job alone. Of several
    processes (distributed.py), the first reports, writes and decides, and the others follow it.

    Args:
        folder: the step's folder.
        mark: hash of the job; a checkpoint with another mark is never resumed.
        step_tokens: number of tokens of each step, without padding.
        checkpoint_seconds: the shortest time between two checkpoints.
        report: called with (steps, tokens) after each step.
    """

    def __init__(
        self,
        folder: Path,
        mark: str,
        step_tokens: list[int],
        checkpoint_seconds: float,
        report: Callable[[int, int], None],
    ) -> None:
        self.stopped: Interrupted | None = None
        """The exception of `report` that stops the training, if any."""
        self._folder, self._mark, self._step_tokens, self._report = folder, mark, step_tokens, report
        self._checkpoints, self._lines = folder / "checkpoints", folder / "metrics.jsonl"
        self._least = self._pause = checkpoint_seconds
        self._earlier = 0.0
        self._began = self._saved = time.monotonic()

    def resume(self) -> str | None:
        """Return the newest sealed checkpoint, or None; remove all others, and the metrics of later steps."""
        newest: str | None = distributed.agreed(self._resume() if distributed.is_first() else None)
        return newest

    def _resume(self) -> str | None:
        sealed = {int(path.name.rpartition("-")[2]): path for path in self._all() if self._is_sealed(path)}
        step = max(sealed, default=0)
        self._keep_only(sealed.get(step))
        lines = self._lines.read_text("utf-8").splitlines()[:step] if step else []
        with owned.atomic(self._lines) as path:
            path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        self._earlier = json.loads(lines[-1])["seconds"] if lines else 0.0
        self._began = self._saved = time.monotonic()
        if not step:
            return None
        self._report(step, 0)
        return str(sealed[step])

    def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
        """Report; ask for a checkpoint when the last is old enough, or when the training is to stop."""
        if distributed.is_first():
            try:
                self._report(1, self._step_tokens[state.global_step - 1])
            except Interrupted as stop:
                self.stopped = stop
        old = time.monotonic() - self._saved >= self._pause and state.global_step < state.max_steps
        # Clocks differ, and only the first process gets signals: all must save, and stop, at the same step.
        old, self.stopped = distributed.agreed((old, self.stopped))
        if self.stopped:
            control.should_training_stop = True
        if old or self.stopped:
            control.should_save = True
            self._saved = time.monotonic()

    def on_log(self, _: Any, state: Any, __: Any, logs: dict[str, float], **___: Any) -> None:
        """Write the step's line of metrics.

        Raises:
            InputError: the loss is not a number.
        """
        if "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise InputError(
                f"{self._folder}: the training loss is {logs['loss']} at step {state.global_step}, with learning rate "
                f"{logs['learning_rate']}; lower learning_rate"
            )
        if not distributed.is_first():
            return
        line = {
            "step": state.global_step,
            "loss": logs["loss"],
            "learning_rate": logs["learning_rate"],
            "tokens": self._step_tokens[state.global_step - 1],
            "seconds": round(self._earlier + time.monotonic() - self._began, 3),
        }
        with owned.append(self._lines) as file:
            file.write(f"{json.dumps(line)}\n".encode())

    def on_save(self, _: Any, state: Any, __: Any, **___: Any) -> None:
        """Seal the checkpoint just written, then remove the one before."""
        distributed.meet()  # each process writes its random state
        if not distributed.is_first():
            return
        checkpoint = self._checkpoints / f"checkpoint-{state.global_step}"
        flush(self._lines, *checkpoint.rglob("*"))
        with owned.atomic(checkpoint / SEAL) as path:
            path.write_text(self._mark, "utf-8")
        self._keep_only(checkpoint)
        self._pause = max(self._least, SAVING_SHARE * (time.monotonic() - self._saved))
        self._saved = time.monotonic()

    def metrics(self) -> dict[str, float | int]:
        """Return the first and the final loss, and the seconds over all attempts."""
        lines = [json.loads(line) for line in self._lines.read_text("utf-8").splitlines()]
        return {"first_loss": lines[0]["loss"], "final_loss": lines[-1]["loss"], "seconds": lines[-1]["seconds"]}

    def _all(self) -> list[Path]:
        return sorted(self._checkpoints.glob("checkpoint-*"))

    def _is_sealed(self, checkpoint: Path) -> bool:
        seal = checkpoint / SEAL
        return seal.is_file() and seal.read_text("utf-8") == self._mark

    def _keep_only(self, checkpoint: Path | None) -> None:
        for path in self._all():
            if path != checkpoint:
                owned.remove(path)


def flush(*paths: Path) -> None:
    """Wait until the files among `paths` are on disk."""
    for path in paths:
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
