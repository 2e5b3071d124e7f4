"""Killed before any change of a file, or at any moment, and started again: the same bytes, nothing foreign touched."""

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from askback.owned.html_page import check_page
from tests.fuzz import SIZE
from tests.untrained import as_answered, as_prompted, as_rewritten, write_recipe

COMMANDS = ("run", "export", "report", "redo", "export")
KILLS = max(5, int(5 * SIZE))
VARYING = (".askback.jsonl", "README.md", "checksums.txt")
"""Files of an export that hold a random id, or the time that steps took."""
ENOUGH = {"min_score": 3, "until": 25}
"""More than the first block gives, and more than there are."""
FOREIGN = (
    "notes.txt",
    ".notes.tmp",
    "runs/made/notes.txt",
    "runs/made/.gone-seed/x",
    "data.txt",
    "runs/other/recipe.yaml",
)


@pytest.fixture(scope="module")
def process() -> Iterator["subprocess.Popen[str]"]:
    """The process that forks and kills; see killed.py."""
    command = [sys.executable, "-m", "tests.fuzz.killed"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.communicate(timeout=30)


class Worker:
    """That process at work on one recipe."""

    def __init__(self, process: "subprocess.Popen[str]", recipe: Path) -> None:
        self._process, self._recipe, self._told = process, recipe, recipe.parent / "told"

    def __call__(self, here: Path, command: str, **order: Any) -> int:
        """Try a command; return how its process ended, which is -9 for a kill."""
        assert self._process.stdin and self._process.stdout
        order |= {"recipe": str(self._recipe), "here": str(here), "command": command, "told": str(self._told)}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    @property
    def changes(self) -> int:
        """How many changes of files the last command took."""
        return int(self._told.read_text())


@pytest.fixture(params=["humpback", "prompted", "back_and_forth", "reinstruct"])
def worker(
    request: pytest.FixtureRequest, process: "subprocess.Popen[str]", tiny_model: Path, tmp_path: Path
) -> Worker:
    folder = tmp_path / "inputs"
    file = write_recipe(folder, tiny_model)
    if request.param == "prompted":
        file = as_prompted(file, seed=True, backward={"shots": 2}, select=ENOUGH)
    elif request.param == "back_and_forth":
        file = as_rewritten(file)
    elif request.param == "reinstruct":
        file = as_answered(file, forward={"steps": 2, "batch_size": 2})
    (folder / "file.json").write_text(file.model_dump_json())
    return Worker(process, folder / "file.json")


def results(here: Path) -> dict[str, str]:
    """Return a hash of every file that holds records, weights or a part of the export."""
    found = [*here.rglob("*.parquet"), *here.rglob("*.safetensors")]
    found += [path for path in (here / "data").glob("*") if path.name not in VARYING]
    return {str(path.relative_to(here)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def test_killed_anywhere_it_goes_on_and_gives_the_same_bytes(worker: Worker, tmp_path: Path) -> None:
    reference, changes = tmp_path / "undisturbed", {}
    reference.mkdir()
    for command in COMMANDS:
        assert worker(reference, command) == 0, command
        changes[command] = worker.changes
    expected = results(reference)
    draw, done, trial = random.Random(7), 0, 0
    while done < KILLS:
        trial += 1
        here = tmp_path / str(trial)
        here.mkdir()
        kills: list[str] = []
        for command in COMMANDS:
            done += kill(worker, here, command, draw, changes, kills)
            assert worker(here, command) == 0, (command, kills)
            for name in FOREIGN:  # a run's folder has to be the run's at first
                (here / name).parent.mkdir(parents=True, exist_ok=True)
                (here / name).write_text(name)
        assert results(here) == expected, kills
        check_page(here / "report.html")
        assert {name: (here / name).read_text() for name in FOREIGN} == {name: name for name in FOREIGN}, kills


def kill(
    worker: Worker, here: Path, command: str, draw: random.Random, changes: dict[str, int], kills: list[str]
) -> int:
    """Have a command killed once or twice; return how often it was."""
    count = 0
    for _ in range(draw.choice((0, 1, 1, 2)) if command != "run" else 2):
        order = (
            {"changes": draw.randint(1, changes[command])} if draw.random() < 0.8 else {"seconds": draw.uniform(0, 1)}
        )
        kills.append(f"{command} {order}")
        count += worker(here, command, **order) == -9
    return count
