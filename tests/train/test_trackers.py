"""Trackers are told what metrics.jsonl has, by the callbacks of transformers; without any named, nobody is told."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from askback.errors import MissingExtra, RecipeError
from askback.recipe import RecipeFile, Resources, Training
from askback.train import check_options, finetune
from askback.train.trackers import check_installed
from tests.commands import askback, one_error
from tests.train.test_finetune import ignore, job_of

SHORT = Training(steps=3, batch_size=2, trl={"bf16": False})


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_tensorboard_is_told_every_loss(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs/mine/m1"
    finetune(job_of(tiny_model, folder, options=SHORT, trackers=("tensorboard",)), ignore)
    events = list(tmp_path.rglob("*tfevents*"))
    assert len(events) == 1 and events[0].parent == folder / "tensorboard"
    read = accumulator.EventAccumulator(str(folder / "tensorboard"))
    read.Reload()
    told = [event.value for event in read.Scalars("train/loss")]
    assert told == pytest.approx(losses(folder)) and len(told) == 3
    assert [event.step for event in read.Scalars("train/learning_rate")] == [1, 2, 3]
    rows = job_of(tiny_model, folder).examples
    written = events[0].read_bytes()
    assert not any(one.output.encode() in written for one in rows), "no text of an example is told"


TRACKIO = """
import sys
from pathlib import Path
from tests.train.test_finetune import ignore, job_of
from tests.train.test_trackers import SHORT
from askback.train import finetune
finetune(job_of(Path(sys.argv[1]), Path(sys.argv[2]), options=SHORT, trackers=("trackio",)), ignore)
import trackio
from trackio.sqlite_storage import SQLiteStorage
(run,) = trackio.Api().runs("mine")
print("RUN", run.name, [row["train/loss"] for row in SQLiteStorage.get_logs("mine", run.name) if "train/loss" in row])
"""


@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_trackio_keeps_it_on_this_machine(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs/mine/m1"
    done = subprocess.run(
        [sys.executable, "-c", TRACKIO, str(tiny_model), str(folder)],
        env={**os.environ, "TRACKIO_DIR": str(tmp_path / "trackio"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (said,) = [line for line in done.stdout.splitlines() if line.startswith("RUN")]
    _, name, told = said.split(" ", 2)
    assert name == "mine-m1" and json.loads(told) == pytest.approx(losses(folder))
    assert list((tmp_path / "trackio").glob("*.db"))


def test_nobody_is_told_unless_named(tiny_model: Path, tmp_path: Path) -> None:
    assert Resources().trackers == ()
    finetune(job_of(tiny_model, tmp_path / "plain", options=SHORT), ignore)
    assert not (tmp_path / "plain/tensorboard").exists() and len(losses(tmp_path / "plain")) == 3


def test_what_is_not_installed_is_told_before_anything_runs(made_run: Path) -> None:
    missing = next((name for name in ("mlflow", "wandb", "trackio") if find_spec(name) is None), None)
    if missing is None:
        pytest.skip("all trackers are installed")
    with pytest.raises(MissingExtra, match=f"pip install {missing}"):
        check_installed(["tensorboard", missing] if find_spec("tensorboard") else [missing])
    changes = ["--set", "name=tracked", "--set", f"resources.trackers=[{missing}]"]
    said = one_error(askback("run", made_run / "recipe.yaml", *changes), 8)
    assert f"resources.trackers: {missing} needs {missing}" in said
    assert not list((made_run.parent / "tracked").glob("*/step.json"))


def test_a_tracker_is_no_part_of_the_result() -> None:
    with pytest.raises(RecipeError, match=r"use resources\.trackers"):
        check_options(Training(trl={"report_to": "tensorboard"}))
    sources = {"seed": {"sources": [{"path": "x"}]}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    with pytest.raises(ValueError, match="'tensorboard', 'trackio', 'wandb' or 'mlflow'"):
        RecipeFile.model_validate({"name": "x", "recipe": sources, "resources": {"trackers": ["comet"]}})
