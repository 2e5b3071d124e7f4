"""Experiment trackers beside ``metrics.jsonl``: transformers' own callbacks, for whoever names one (`Resources.trackers`).

A tracker is told each step's loss and learning rate, and the trainer's and the model's settings; no text of an example.
TensorBoard writes into the step's folder, trackio into its own database on this machine. W&B and MLflow send to the server
that their own variables or log-in name; a key is theirs to read, and is in no recipe.
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from askback import owned
from askback.errors import MissingExtra
from askback.train import distributed

PROJECT = {"wandb": "WANDB_PROJECT", "mlflow": "MLFLOW_EXPERIMENT_NAME"}
"""Variables that name the project, where nobody has set them: after the run."""


def check_installed(trackers: Sequence[str]) -> None:
    """Look for the trackers' packages, which are named as they are.

    Raises:
        MissingExtra: one is not installed.
    """
    for name in trackers:
        if find_spec(name) is None:
            raise MissingExtra(name, "", f"resources.trackers: {name}")


def track(trainer: Any, trackers: Sequence[str], folder: Path) -> None:
    """Have a trainer tell the trackers what it logs, as the step `folder` of its run.

    A training that goes on after a kill goes on under the same name; its steps since the last checkpoint come twice.
    """
    from transformers.integrations import TensorBoardCallback
    from transformers.integrations.integration_utils import get_reporting_integration_callbacks

    run, step = folder.parent.name, folder.name
    trainer.args.project, trainer.args.run_name = run, f"{run}-{step}"
    for name in trackers:
        if name in PROJECT:
            os.environ.setdefault(PROJECT[name], run)
    if "wandb" in trackers:
        os.environ.setdefault("WANDB_DIR", str(folder))
    for name in {"tensorboard", "wandb"}.intersection(trackers) if distributed.is_first() else ():
        owned.whole(folder / name)
    for kind in get_reporting_integration_callbacks(list(trackers)):
        callback = kind()
        if isinstance(callback, TensorBoardCallback) and callback.logging_dir is None:
            callback.logging_dir = str(folder / "tensorboard")  # beside the checkpoints, which go in the end
        trainer.add_callback(callback)
