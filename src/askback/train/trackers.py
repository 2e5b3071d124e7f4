"""Experiment trackers beside ``metrics.jsonl``, through transformers' own callbacks (`Resources.trackers`).

A tracker receives each step's loss and learning rate, and the settings of trainer and model; no text of an example.
TensorBoard writes into the step's folder, trackio into its own database on this machine. W&B and MLflow send to the server
of their own variables or log-in, and read their own key, which is in no recipe.
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
"""Environment variables of the project's name, set to the run's name where they are not set."""


def check_installed(trackers: Sequence[str]) -> None:
    """Check that the trackers' packages, which have their names, are installed.

    Raises:
        MissingExtra: one is not.
    """
    for name in trackers:
        if find_spec(name) is None:
            raise MissingExtra(name, "", f"resources.trackers: {name}")


def track(trainer: Any, trackers: Sequence[str], folder: Path) -> None:
    """Make a trainer log to the trackers, under the names of its run and of its step, `folder`.

    A resumed training keeps its name; its steps since the last checkpoint are logged twice.
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
