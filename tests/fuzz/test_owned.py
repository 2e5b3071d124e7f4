"""Whatever lies where a command is to write, nothing that askback did not write is changed or gone afterwards."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from askback import owned
from askback.cli import making, results
from askback.errors import AskbackError
from askback.evaluate.answers import write_outputs
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run, redo
from askback.execution.shards import Records, write_json
from askback.execution.step import Step
from askback.export import export
from askback.plan import demo, running
from askback.recipe import RecipeFile, Select
from askback.records import Example, Provenance, exchange
from askback.report.html import write_report
from tests.fuzz import SIZE

NAMES = [
    "checksums.txt",
    "README.md",
    "licences.csv",
    "train.parquet",
    "train.jsonl",
    "dataset_info.json",
    "report.html",
    "index.html",
    "recipe.yaml",
    "forecast.json",
    "metrics.jsonl",
    "timings.jsonl",
    ".lock",
    ".askback.jsonl",
    "step.json",
    "plan.json",
    "kept-00000.parquet",
    "rejected-00000.parquet",
    "log.txt",
    "notes.txt",
    "summary.json",
    "loss.svg",
    ".export.tmp",
    ".out.tmp",
    ".x.tmp",
    ".gone-seed",
    ".seed.tmp",
    "model",
    "model.tmp",
    "checkpoints",
    "launch",
    "scratch-1",
    "seed",
    "select-1",
    "evaluate",
    "model_outputs",
]
PLACES = [
    "",
    "out",
    "out/deep",
    "runs",
    "runs/x",
    "runs/x/seed",
    "runs/x/select-1",
    "runs/x/evaluate",
    "runs/new",
    "seed",
]
TEXTS = [b"", b"mine\n", b"\x00\xff", b'{"askback": "export", "id": "0123456789abcdef"}\n', b'{"askback": 3}\n']
OUTS = [
    ".",
    "out",
    "out/deep",
    "out/new",
    "out/report.html",
    "report.html",
    "runs",
    "runs/x",
    "runs/x/seed",
    "runs/x/new",
]
OUTS += ["runs/x/report.html", "runs/x/recipe.yaml", "runs/x/seed/step.json", "link", "pipe", "runs/new", "recipe.yaml"]


@recorded(version=1)
def write_pairs(step: Step, options: Select) -> Records[Any]:
    outcome = Outcome[Any]()
    for number in range(4):
        id = f"{step.name}-{number}"
        outcome.keep(
            "pairs",
            Example(
                id,
                exchange("Ask?", f"Answer {number}."),
                Provenance("file:1", "x", language="en"),
                "seed",
                "train",
                4.0,
            ),
        )
    return step.write(Example, [outcome])


def recipe_for(folder: Path, name: str) -> RecipeFile:
    source = {"format": "text", "path": "x.txt"}
    recipe = {"rounds": 1, "seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [source]}}
    return RecipeFile.model_validate({"name": name, "recipe": recipe, "resources": {"runs": str(folder)}})


def make_steps(folder: Path, name: str, source: Path | None = None) -> Path:
    """Make, or go on with, a run of two steps that hold pairs."""
    file = recipe_for(folder, name)
    with Run(file, source=source) as run:
        with owned.atomic(run.folder / "recipe.yaml") as temporary:
            temporary.write_text(yaml.safe_dump(file.model_dump(mode="json")))
        for step in ("seed", "select-1"):
            run.step(step, write_pairs, Select(top_n=1))
    return run.folder


def redo_steps(folder: Path) -> None:
    with Run(recipe_for(folder, "x")) as run:
        redo(run.folder, "seed", ["select-1"])
    make_steps(folder, "x")


def evaluate(folder: Path) -> None:
    """Write what an evaluation and a study write beside their steps."""
    for name in ("evaluate", "study"):
        with Run(recipe_for(folder / "x", name)) as run:
            run.step("data", write_pairs, Select(top_n=1))
            outputs = run.folder / "model_outputs"
            outputs.mkdir(exist_ok=True)
            write_outputs(outputs / "m0.json", [], "m0")
            write_json(run.folder / "summary.json", {})


COMMANDS: dict[str, Callable[[Path, Path], Any]] = {
    "export": lambda here, out: export(here / "runs/x", out),
    "export as lines": lambda here, out: export(here / "runs/x", out, file_type="jsonl", validation=0.5),
    "report": lambda here, out: write_report([here / "runs/x"], out),
    "report there": lambda here, out: results.report([here / "runs/x"], None),
    "init": lambda here, out: making.init("try", out),
    "demo": lambda here, out: making.demo(out),
    "run": lambda here, out: make_steps(here / "runs", "x"),
    "run anew": lambda here, out: make_steps(here / "runs", "new"),
    "run outside": lambda here, out: make_steps(out.parent, out.name),
    "run --from": lambda here, out: make_steps(here / "runs", "new", here / "runs/x"),
    "run --redo": lambda here, out: redo_steps(here / "runs"),
    "evaluate": lambda here, out: evaluate(here / "runs"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, an export of it, and a report, all as askback leaves them."""
    here = tmp_path_factory.mktemp("made")
    run = make_steps(here / "runs", "x")
    export(run, here / "out")
    write_report([run], here / "report.html")
    return here


def place(here: Path, where: str, name: str, kind: str, text: bytes) -> None:
    """Put something of a user's own somewhere, unless there is something already."""
    path = here / where / name
    if any(os.path.lexists(folder) and not folder.is_dir() for folder in path.parents):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(path):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(path.read_bytes() + b" changed")
        return
    if kind == "file":
        path.write_bytes(text)
    elif kind == "read-only":
        path.write_bytes(text)
        path.chmod(0o444)
    elif kind == "folder":
        path.mkdir()
        (path / "thesis.txt").write_bytes(text)
    elif kind == "link":
        path.symlink_to(here / "outside/file.txt")
    elif kind == "folder link":
        path.symlink_to(here / "outside")


def seen(here: Path) -> dict[str, tuple[int, bytes | str]]:
    """Return all that is in a folder but folders: its type, with its bytes or the target of the link."""
    found: dict[str, tuple[int, bytes | str]] = {}
    for path in sorted(here.rglob("*")):
        mode = stat.S_IFMT(path.lstat().st_mode)
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""  # noqa: PTH115
        if mode != stat.S_IFDIR:
            found[str(path.relative_to(here))] = (mode, content)
    return found


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Path]]:
    """Return what gives an empty folder, the current one, for each example."""
    count = 0

    def fresh() -> Path:
        nonlocal count
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(tmp_path / str(count), ignore_errors=True)
        count += 1
        (tmp_path / str(count)).mkdir()
        return tmp_path / str(count)

    yield fresh


THINGS = st.tuples(
    st.sampled_from(PLACES),
    st.sampled_from(NAMES),
    st.sampled_from(["file", "read-only", "folder", "link", "folder link"]),
    st.sampled_from(TEXTS),
)


@given(
    ours=st.booleans(),
    things=st.lists(THINGS, max_size=5),
    command=st.sampled_from(sorted(COMMANDS)),
    out=st.sampled_from(OUTS),
)
@settings(
    max_examples=int(120 * SIZE),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_is_not_ours_stays_as_it_is(
    made: Path,
    here: Callable[[], Path],
    monkeypatch: pytest.MonkeyPatch,
    ours: bool,
    things: list[tuple[str, str, str, bytes]],
    command: str,
    out: str,
) -> None:
    # The demo's run trains a model.
    monkeypatch.setattr(running, "run", lambda *_, **__: make_steps(Path("runs"), "x"))
    monkeypatch.setattr(demo, "expected", lambda _: "")
    monkeypatch.setattr(demo, "check_corpus", lambda *_: None)
    folder = here()
    if ours:
        shutil.copytree(made, folder, dirs_exist_ok=True)
    else:
        shutil.copytree(made / "runs", folder / "runs", dirs_exist_ok=True)
    written = seen(folder)
    (folder / "outside").mkdir()
    (folder / "outside/file.txt").write_text("kept")
    (folder / "link").symlink_to("outside")
    os.mkfifo(folder / "pipe")
    for thing in things:
        place(folder, *thing)
    before = {path: found for path, found in seen(folder).items() if written.get(path) != found}
    monkeypatch.chdir(folder)
    try:
        COMMANDS[command](folder, Path(out) if command != "run outside" else folder / out)
    except AskbackError as error:
        assert len(str(error).splitlines()) == 1, error
    except OSError as error:
        assert error.filename, error  # one line of the command line, with the file's name
    after = seen(folder)
    # A marker of ours stays ours, whatever somebody adds to it; an empty one may be what a kill left.
    markers = {path for path in before if Path(path).name == owned.MARKER}
    ours_still = {path for path in markers if path in written or before[path] == (stat.S_IFREG, b"")}
    before = {path: found for path, found in before.items() if path not in ours_still}
    assert {path: after.get(path) for path in before} == before
