"""A step runs once; what is on disk is reused only if it is the same step; a kill loses little; nothing is doubled."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from askback import owned
from askback.engines.worker_context import WorkerContext
from askback.errors import Drift, EmptyStep, RunBusy, WorkerDied
from askback.execution.identity import difference, recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run, redo
from askback.execution.shards import Records, write_json
from askback.execution.step import Step, larger
from askback.recipe import RecipeFile, Select
from askback.records import Provenance, Segment, fail, reject


def recipe(folder: Path, workers: int = 1, **changes: object) -> RecipeFile:
    return RecipeFile.model_validate(
        {
            "name": "run",
            "recipe": {
                "seed": {"sources": [{"path": "builtin:demo"}]},
                "corpus": {"sources": [{"format": "text", "path": "x.txt"}]},
                **changes,
            },
            "resources": {"runs": str(folder), "workers": workers},
        }
    )


def segment(number: int) -> Segment:
    return Segment(f"id{number:04d}", f"text {number}", [], Provenance("file:x", "text", language="en"))


@recorded(version=1)
def make(step: Step, options: Select) -> Records[Any]:
    outcome = Outcome[Any]()
    assert not isinstance(options.top_n, list)
    for number in range(options.top_n or 0):
        outcome.keep("segments", segment(number))
    return step.write(Segment, [outcome])


@recorded(version=2)
def newer_make(step: Step, options: Select) -> Records[Any]:
    return make(step, options)


newer_make.name = "make"


@recorded(version=1)
def drop_all(step: Step, options: Select) -> Records[Any]:
    outcome = Outcome[Any]()
    assert not isinstance(options.top_n, list)
    for number in range(options.top_n or 0):
        outcome.drop(reject(f"id{number}", "segments", "too-short"))
    return step.write(Segment, [outcome])


@recorded(version=1)
def sift(step: Step, options: Select, *, segments: Records[Any]) -> Records[Any]:
    return step.map(sift_piece, step.cut(segments, 4), Segment, "segments")


def sift_piece(worker: WorkerContext, segments: Iterable[Segment]) -> Outcome[Any]:
    """Keep even ones, reject those that end in 1, fail the other odd ones; slowly where the test asks for it."""
    time.sleep(float(os.environ.get("SIFT_SECONDS", "0")))
    outcome = Outcome[Any]()
    for one in segments:
        if int(one.id[2:]) % 2 == 0:
            outcome.keep("segments", one)
        elif one.id.endswith("1"):
            outcome.drop(reject(one.id, "segments", "ends-in-one"))
        else:
            outcome.drop(fail(one.id, "segments", "odd"))
    return outcome


def die(worker: WorkerContext, segments: Iterable[Segment]) -> Outcome[Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return Outcome[Any]()


@recorded(version=1)
def fall(step: Step, options: Select, *, segments: Records[Any]) -> Records[Any]:
    return step.map(die, step.cut(segments, 4), Segment, "segments")


def test_a_step_is_made_once_and_counts_add_up(tmp_path: Path) -> None:
    for _ in range(2):
        with Run(recipe(tmp_path)) as run:
            segments = run.step("make", make, Select(top_n=30))
            sifted = run.step("sift", sift, Select(top_n=1), segments=segments)
    assert [one.id for one in sifted] == [f"id{n:04d}" for n in range(0, 30, 2)]
    step = json.loads((tmp_path / "run/sift/step.json").read_text())
    counts = step["counts"]["segments"]
    assert counts == {"entered": 30, "kept": 15, "rejected": 3, "failed": 12}
    assert step["reasons"] == {"segments/odd": 12, "segments/ends-in-one": 3}
    assert len(list((tmp_path / "run/sift").glob("kept-*.parquet"))) == 8
    assert (tmp_path / "run/sift/timings.jsonl").read_text().count("seconds") == 1, "made once"


def test_two_workers_give_the_same_bytes_as_one(tmp_path: Path, worker_processes: None) -> None:
    for workers in (1, 2):
        with Run(recipe(tmp_path / str(workers), workers)) as run:
            run.step("sift", sift, Select(top_n=1), segments=run.step("make", make, Select(top_n=30)))
    one, two = (sorted((tmp_path / n / "run/sift").glob("*.parquet")) for n in "12")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_a_changed_option_is_refused_with_a_diff(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        run.step("make", make, Select(top_n=3))
        with pytest.raises(Drift, match=r"options\.top_n: 3 → 4") as caught:
            run.step("make", make, Select(top_n=4))
    assert "--redo make" in str(caught.value) and "--from" in str(caught.value)


def test_a_changed_version_or_input_is_refused(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        segments = run.step("make", make, Select(top_n=3))
        run.step("sift", sift, Select(top_n=1), segments=segments)
        with pytest.raises(Drift, match=r"inputs\.segments"):
            run.step("sift", sift, Select(top_n=1), segments=Records[Any](segments.folder, "other"))
        with pytest.raises(Drift, match="version: 1 → 2"):
            run.step("make", newer_make, Select(top_n=3))


def test_an_attempt_that_made_nothing_holds_nobody_to_it(tmp_path: Path) -> None:
    owned.claim(tmp_path / "run", "run")
    owned.claim(tmp_path / "run/make", "step")
    write_json(tmp_path / "run/make/plan.json", {"identity": {"options": {"top_n": 2}}})
    with Run(recipe(tmp_path)) as run:
        assert len(run.step("make", make, Select(top_n=3))) == 3


def test_another_cut_is_not_mixed_with_the_one_begun(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        segments = run.step("make", make, Select(top_n=30))
        run.step("sift", sift, Select(top_n=1), segments=segments)
        (run.folder / "sift/step.json").unlink()
        plan = run.folder / "sift/plan.json"
        plan.write_text(plan.read_text().replace('"pieces": 8', '"pieces": 9'))
        with pytest.raises(Drift, match="another number of pieces"):
            run.step("sift", sift, Select(top_n=1), segments=segments)


def test_what_a_kill_left_behind_is_no_step(tmp_path: Path) -> None:
    owned.claim(tmp_path / "run", "run")
    owned.unfinished(tmp_path / "run/make").mkdir()
    (tmp_path / "run/.mine.tmp").mkdir()
    with Run(recipe(tmp_path)) as run:
        assert [path.name for path in run.folder.iterdir() if path.is_dir()] == [".mine.tmp"]


def test_redo_deletes_a_step_and_what_follows(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        run.step("sift", sift, Select(top_n=1), segments=run.step("make", make, Select(top_n=3)))
        assert redo(run.folder, "make", ["sift", "never-made"]) == ["make", "sift"]
        assert len(run.step("make", make, Select(top_n=4))) == 4


def test_from_takes_over_only_the_same_step(tmp_path: Path) -> None:
    with Run(recipe(tmp_path / "old")) as run:
        run.step("make", make, Select(top_n=3))
    with Run(recipe(tmp_path / "new"), source=tmp_path / "old/run") as run:
        run.step("make", make, Select(top_n=3))
        run.step("sift", sift, Select(top_n=1), segments=Records[Any](run.folder / "make", "x"))
    old, new = (tmp_path / name / "run/make/step.json" for name in ("old", "new"))
    assert old.read_bytes() == new.read_bytes()
    with Run(recipe(tmp_path / "third"), source=tmp_path / "old/run") as run:
        assert len(run.step("make", make, Select(top_n=4))) == 4


def test_an_empty_step_is_an_error_that_says_why(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)) as run:
        with pytest.raises(EmptyStep, match=r"of 3 in, 0 kept \(too-short 3\).*--redo none"):
            run.step("none", drop_all, Select(top_n=3))
        with pytest.raises(EmptyStep, match="nothing came in"):
            run.step("empty", sift, Select(top_n=1), segments=Records[Any](tmp_path, ""))
        assert not (run.folder / "none/step.json").exists()


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with Run(recipe(tmp_path)), pytest.raises(RunBusy, match="another process"), Run(recipe(tmp_path)):
        pass


def test_a_dead_worker_is_one_clear_line(tmp_path: Path, worker_processes: None) -> None:
    with Run(recipe(tmp_path)) as run:
        segments = run.step("make", make, Select(top_n=3))
        with pytest.raises(WorkerDied, match=r"log\.txt"):
            run.step("fall", fall, Select(top_n=1), segments=segments)


def fail_oddly(worker: WorkerContext, segments: Iterable[Segment]) -> Outcome[Any]:
    raise ZeroDivisionError("no such luck")


@recorded(version=1)
def stumble(step: Step, options: Select, *, segments: Records[Any]) -> Records[Any]:
    return step.map(fail_oddly, step.cut(segments, 4), Segment, "segments")


def test_an_unforeseen_error_is_one_line_and_a_log(tmp_path: Path, worker_processes: None) -> None:
    with Run(recipe(tmp_path)) as run:
        segments = run.step("make", make, Select(top_n=3))
        with pytest.raises(WorkerDied, match="ZeroDivisionError: no such luck.*log.txt") as caught:  # noqa: RUF043
            run.step("stumble", stumble, Select(top_n=1), segments=segments)
    assert "\n" not in str(caught.value)
    assert "Traceback" in (tmp_path / "run/stumble/log.txt").read_text()


def test_difference_names_the_place() -> None:
    assert difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c: 2 → 3", "d: None → 4"]


SCRIPT = """
import sys
from pathlib import Path
from askback.recipe import Select
from askback.execution.run import Run
from tests.execution.test_step import make, recipe, sift

if __name__ == "__main__":
    with Run(recipe(Path(sys.argv[1]))) as run:
        run.step("sift", sift, Select(top_n=1), segments=run.step("make", make, Select(top_n=40)))
"""


@pytest.fixture
def script(tmp_path: Path) -> Iterator[list[str]]:
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    yield [sys.executable, str(path)]


def environment(seconds: float) -> dict[str, str]:
    root = Path(__file__).parents[2]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (root, root / "src"))), "SIFT_SECONDS": str(seconds)}


def pieces(folder: Path) -> int:
    return len(list((folder / "run/sift").glob("kept-*.parquet")))


def test_killed_at_any_moment_it_goes_on_and_gives_the_same_bytes(tmp_path: Path, script: list[str]) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    subprocess.run([*script, str(undisturbed)], env=environment(0), check=True)
    for target in (1, 4, 8):
        process = subprocess.Popen([*script, str(killed)], env=environment(0.1))
        while pieces(killed) < target and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (killed / "run/sift/step.json").exists()
    before = {path: path.stat().st_mtime_ns for path in (killed / "run/sift").glob("kept-*.parquet")}
    subprocess.run([*script, str(killed)], env=environment(0), check=True)
    assert all(path.stat().st_mtime_ns == then for path, then in before.items()), "a finished piece was made again"
    names = [sorted(path.name for path in (folder / "run/sift").glob("*.parquet")) for folder in (undisturbed, killed)]
    assert names[0] == names[1]
    for name in names[0]:
        assert (undisturbed / "run/sift" / name).read_bytes() == (killed / "run/sift" / name).read_bytes()


def test_ctrl_c_finishes_what_is_in_flight(tmp_path: Path, script: list[str]) -> None:
    process = subprocess.Popen([*script, str(tmp_path)], env=environment(0.3), stderr=subprocess.PIPE, text=True)
    while pieces(tmp_path) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "Interrupted" in said and process.returncode == 1
    assert 2 <= pieces(tmp_path) <= 4


def test_workers_die_with_a_killed_parent(tmp_path: Path, script: list[str]) -> None:
    process = subprocess.Popen([*script, str(tmp_path)], env=environment(60))
    log = tmp_path / "run/sift/log.txt"
    while not log.exists() or "begins" not in log.read_text():
        time.sleep(0.05)
    worker = int(log.read_text().split("process ")[1].split()[0])
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.parametrize(
    ("total", "expected"), [(10, 32), (16_000, 32), (16_001, 33), (500_000, 1000), (100_000_000, 1000)]
)
def test_pieces_grow_with_the_records_up_to_what_a_worker_can_hold(total: int, expected: int) -> None:
    assert larger(32, total) == expected
