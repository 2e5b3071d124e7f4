"""A worker that is forked from a process with libraries in it is as alone as one that is spawned."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from askback.engines.worker_context import WorkerContext
from askback.execution import processes

PRELOADS = ["", "tests.execution.preloaded"]
"""Spawned; forked, where this machine has no GPU."""

SCRIPT = """
import json, os, sys
from pathlib import Path
from askback import owned
from askback.execution.processes import Drain, run_pieces
from tests.execution import test_processes

if __name__ == "__main__":
    preload, folder = sys.argv[1], Path(sys.argv[2])
    owned.claim(folder, "step")
    for name in ("first", "second"):
        os.environ["NAMED"] = name
        pieces = run_pieces(test_processes.look, [name], 1, folder / "log.txt", Drain(print), lambda *_: None, preload)
        print(json.dumps(next(pieces)), flush=True)
    list(run_pieces(test_processes.wait, [""], 1, folder / "log.txt", Drain(print), lambda *_: None, preload))
"""


def look(_: WorkerContext, __: str) -> dict[str, Any]:
    """Return what a worker finds."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    os.write(1, b"printed by a worker\n")
    return {
        "pid": os.getpid(),
        "named": os.environ["NAMED"],
        "safe": os.environ["PYTHONSAFEPATH"],
        "telemetry": os.environ["HF_HUB_DISABLE_TELEMETRY"],
        "threads": os.environ["OMP_NUM_THREADS"],
        "folder": os.getcwd(),  # noqa: PTH109
        "blocked": sorted(number.name for number in signal.Signals if number in blocked),
        "preloaded": "tests.execution.preloaded" in sys.modules,
    }


def wait(_: WorkerContext, __: str) -> None:
    """Work until killed."""
    os.write(1, b"waiting\n")
    time.sleep(60)


@pytest.mark.parametrize("preload", PRELOADS, ids=["spawned", "forked"])
def test_a_worker_begins_afresh_and_dies_with_a_killed_parent(preload: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), preload, str(tmp_path / "step")]
    parent = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    first, second = json.loads(parent.stdout.readline()), json.loads(parent.stdout.readline())
    assert first["pid"] != second["pid"], "a process per step"
    assert [first["named"], second["named"]] == ["first", "second"], "the environment is that of now"
    forked = bool(preload) and processes._start_method(preload) == "forkserver"
    for found in (first, second):
        assert (found["safe"], found["telemetry"], found["threads"]) == ("1", "1", "1")
        assert found["folder"] == str(tmp_path)
        assert found["blocked"] == ["SIGINT", "SIGTERM"]
        assert found["preloaded"] == forked
    log = tmp_path / "step/log.txt"
    while "waiting" not in log.read_text():
        time.sleep(0.05)
    assert log.read_text().count("printed by a worker") == 2, "what a worker prints goes to the log"
    worker = int(log.read_text().rsplit("process ", 1)[1].split()[0])
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


def test_with_a_gpu_nothing_is_imported_before_a_fork(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "GPUS", (str(tmp_path),))
    assert processes._start_method("askback.train.preload") == "spawn"


def test_starting_a_process_leaves_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    before = dict(os.environ)
    with processes._environment():
        assert os.environ["PYTHONSAFEPATH"] == "1"
        assert os.environ["TOKENIZERS_PARALLELISM"] == "true", "set otherwise"
        assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert dict(os.environ) == before
