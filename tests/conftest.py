"""Models and data that several tests share; each is built or found once a session."""

import os
from multiprocessing import forkserver
from pathlib import Path

import pytest

from askback.errors import AskbackError
from askback.execution import processes
from askback.models import builtin
from tests.tiny import build_tiny_model
from tests.untrained import make_run

SLOWEST = (
    "test_smoke_run",
    "test_launch",
    "test_ray",
    "test_cli",
    "test_tables",
    "test_model_code",
    "test_plan",
    "test_budget",
    "test_finetune",
    "test_injection",
    "test_humpback",
)
"""Files of half a minute or more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slowest files, so that none is left for one of several processes alone at the end."""
    rank = {name: at for at, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(SLOWEST)))


IMPORTED = ("train.preload", "train.steps", "augment.write", "curate.score", "evaluate.answers", "evaluate.loss")
"""Modules that workers of the tests import."""


@pytest.fixture(scope="session")
def libraries() -> None:
    """Have all workers of this process forked from one that has imported everything, where they may be forked."""
    if processes._start_method("askback.train.preload") == "forkserver":
        forkserver.set_forkserver_preload([f"askback.{name}" for name in IMPORTED])
        with processes._environment():
            forkserver.ensure_running()


@pytest.fixture(scope="session")
def tiny_model(libraries: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer model; see tests/tiny.py."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_model_no_system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a chat template that refuses a system turn."""
    return build_tiny_model(tmp_path_factory.mktemp("models") / "tiny-no-system", system_role=False)


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
