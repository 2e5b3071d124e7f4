"""Models and data that several tests share; each is built or found once a session."""

import gc
import os
import sys
from collections.abc import Generator, Iterator
from functools import cache
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from askback.errors import AskbackError
from askback.execution import processes
from askback.models import builtin
from tests.browser import chromium
from tests.run_here import CALLERS, working_here
from tests.tiny import build_tiny_model
from tests.untrained import make_run

SLOWEST = (
    "test_types",
    "test_smoke_run",
    "test_finetune",
    "test_launch",
    "test_tables",
    "test_kills",
    "test_benchmarks",
    "test_recipes",
    "test_step",
    "test_ray",
    "test_regexes",
    "test_bounds",
    "test_damaged",
    "test_plan",
    "test_decoding",
    "test_cli",
    "test_paid_run",
    "test_preview",
    "test_documents",
    "test_owned",
    "test_model_code",
    "test_compare",
)
"""Files of about ten seconds or more."""


TOGETHER = {
    "tests/report/": "a run and a browser",
    "tests/test_smoke_run.py": "libraries",
    "tests/test_tables.py": "libraries",
    "tests/train/test_finetune.py": "libraries",
    "tests/train/test_launch.py": "libraries",
}
"""Beginnings of the paths of files that one worker runs, by what they share."""


class ByFixture(LoadFileScheduling):  # type: ignore[misc]
    """Hands out files to the processes of xdist, those together that share what takes seconds to make."""

    def _split_scope(self, nodeid: str) -> str:
        shared = (kept for path, kept in TOGETHER.items() if nodeid.startswith(path))
        return str(next(shared, super()._split_scope(nodeid)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFixture:
    return ByFixture(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that none is left for one of several processes alone at the end."""
    rank = {name: at for at, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(SLOWEST)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while everything is imported: nearly all that is made then stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        freeze(len(sys.modules))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    freeze(len(sys.modules))


@cache
def freeze(modules: int) -> None:
    """Leave what this number of modules has made out of the collection of garbage: libraries that train ask for a whole one
    again and again, which takes as long as a training does here."""
    gc.collect()
    gc.freeze()


IMPORTED = (
    "transformers.models.llama.modeling_llama",
    *(f"askback.{name}" for name in ("train.steps", "augment.write", "curate.score", "evaluate.answers")),
    *("askback.evaluate.loss", "askback.train.preload"),
)
"""Modules that workers of the tests import; the last one freezes them all."""


@pytest.fixture(scope="session")
def libraries() -> None:
    """Have all workers of this process forked from one that has imported everything, where they may be forked."""
    if processes._start_method("askback.train.preload") == "forkserver":
        forkserver.set_forkserver_preload(list(IMPORTED))
        with processes._environment():
            forkserver.ensure_running()


@pytest.fixture(scope="session", autouse=True)
def _run_here() -> Iterator[None]:
    """Work is done in the process of the tests, but for those that ask for `worker_processes` or start the program."""
    with working_here():
        yield


@pytest.fixture
def worker_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is done in worker processes, as it is for users."""
    for module in CALLERS:
        monkeypatch.setattr(module, "run_pieces", processes.run_pieces)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer model; see tests/tiny.py."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_model_no_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a chat template that refuses a system turn."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny-no-system", system_role=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A real browser; one for a whole process, as Playwright runs but one at a time."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def made_run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder whose models are copies of the tiny one; see tests/untrained.py."""
    return make_run(tmp_path_factory.mktemp("made"), tiny_model)


@pytest.fixture(scope="session")
def builtin_model() -> Path:
    """The embedded model itself; fetched on first use."""
    try:
        return builtin.fetch("smollm2-135m")
    except AskbackError as error:
        pytest.skip(f"builtin:smollm2-135m cannot be had here: {error}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real seed pairs, pages and labels, which are not part of the repository."""
    folder = Path(os.environ.get("ASKBACK_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set ASKBACK_SHARED_DATA to the folder that holds it")
    return folder
