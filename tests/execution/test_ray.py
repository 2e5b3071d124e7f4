"""A real Ray cluster of two nodes on this machine gives the files that local processes give, also when one of them dies."""

import json
import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from askback import __version__
from askback.augment.write import write_instructions
from askback.curate.score import score
from askback.engines.worker_context import WorkerContext
from askback.errors import EmptyStep, InputError, Interrupted, MissingExtra, WorkerDied
from askback.execution import ray_tasks, ray_worker
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.methods.humpback import make_corpus
from askback.recipe import RecipeFile, Resources, Select
from askback.records import Segment
from tests.engines.test_vllm_server import alive
from tests.execution.test_step import fall, make, recipe, sift, sift_piece, stumble
from tests.untrained import Untrained, write_recipe

# Not imported here: Ray reads its variables when it is imported.
pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed (askback[ray])")
SERVED = [sys.executable, str(Path(__file__).parents[1] / "engines/served_vllm.py")]
NODE: dict[str, Any] = {
    "num_cpus": 1,
    "object_store_memory": 80 * 2**20,
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """One node; `two` adds another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # 127.0.0.1 alone
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args=NODE)
        yield cluster
        cluster.shutdown()


@pytest.fixture
def two(cluster: Any) -> Any:
    """The cluster, with a second node that a test may kill."""
    if not cluster.worker_nodes:
        cluster.add_node(**NODE)
    return cluster


def on_ray(file: RecipeFile, cluster: Any, **changes: Any) -> RecipeFile:
    """Return the recipe with two workers on the cluster."""
    given = {"executor": "ray", "address": cluster.address, "workers": 2, **changes}
    resources = Resources.model_validate({**file.resources.model_dump(), **given})
    return file.model_copy(update={"resources": resources})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


@recorded(version=1)
def trace(step: Step, options: Select, *, segments: Records[Any]) -> Records[Any]:
    return step.map(partial(traced_piece, step.folder.parent / "traced"), step.cut(segments, 2), Segment, "segments")


def traced_piece(traced: Path, worker: WorkerContext, piece: Iterable[Segment]) -> Outcome[Any]:
    """Note which process is at which piece, and take a while over it."""
    segments = list(piece)
    with traced.open("a") as file:
        file.write(f"{segments[0].id} {os.getpid()} {os.getppid()}\n")
    time.sleep(0.4)
    return sift_piece(worker, segments)


def attempts(folder: Path) -> list[list[str]]:
    """Return piece, process and its parent, which is the node, for every attempt at a piece."""
    traced = folder / "run/traced"
    return [line.split() for line in traced.read_text().splitlines()] if traced.exists() else []


def run_trace(file: RecipeFile) -> None:
    with Run(file) as run:
        run.step("trace", trace, Select(top_n=1), segments=run.step("make", make, Select(top_n=48)))


def meanwhile(ready: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Act as soon as something is so, in a thread."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def curate(file: RecipeFile) -> dict[str, int]:
    """Make corpus, candidates and judgements with the scripted engine; return the tokens of each step."""
    with Untrained(file) as run:
        base, segments = run.base(), make_corpus(file.recipe, run)
        candidates = run.step("augment", write_instructions, file.recipe.augment, model=base, segments=segments)
        run.step("score-1", score, file.recipe.score, model=base, candidates=candidates)
    return {path.parent.name: json.loads(path.read_text())["tokens"] for path in run.folder.glob("*/step.json")}


@pytest.mark.ray
def test_two_nodes_give_the_same_bytes_as_local_processes(two: Any, made_run: Path, tmp_path: Path) -> None:
    file = RecipeFile.model_validate(yaml.safe_load((made_run / "recipe.yaml").read_text()))
    local, ray = tmp_path / "local", tmp_path / "ray"
    tokens = curate(file.model_copy(update={"resources": file.resources.model_copy(update={"runs": str(local)})}))
    assert curate(on_ray(file, two, runs=str(ray))) == tokens and tokens["augment"] > 100, "every report has come"
    assert files(ray) == files(local) and len(files(ray)) >= 8, "kept and rejected of four steps"
    # A few pieces may be done before the second worker is there; that both nodes work is in the next test.
    assert (ray / file.name / "augment/log.txt").read_text().count("begins") in (1, 2)
    assert not list(ray.rglob("*.tmp"))


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_worker_has_a_vllm_of_its_own_whose_death_costs_its_piece_alone(
    two: Any, tiny_model: Path, tmp_path: Path
) -> None:
    """The server answers by hashes; tests/engines/test_vllm_server.py has a real vLLM on a cluster."""
    base = shutil.copytree(tiny_model, tmp_path / "model")
    tree = write_recipe(tmp_path / "in", base, pages=24).as_written()
    tree["resources"] |= {
        "engine": {"kind": "vllm_server", "command": SERVED, "concurrency": 4},
        "runs": str(tmp_path / "local"),
    }
    file = RecipeFile.model_validate(tree)
    tokens = curate(file)
    assert len(served(tmp_path)) == 1, "both steps ask the base model"

    step = tmp_path / "ray/made/augment"
    killer = meanwhile(
        lambda: any(step.glob("asked-*.jsonl")) and len(served(tmp_path)) == 2,
        lambda: os.kill(served(tmp_path)[1], signal.SIGKILL),
    )
    assert curate(on_ray(file, two, runs=str(tmp_path / "ray"), workers=1)).keys() == tokens.keys()
    killer.join()
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert len(served(tmp_path)) == 1 + 2, (
        "one here; that of the lost worker, and of the one in its place, for both steps"
    )
    log = (step / "log.txt").read_text()
    assert log.count("vLLM ended") == 1 and "a worker was lost" in log and len(list(step.glob("server-*.log"))) == 2
    deadline = time.monotonic() + 30
    while any(alive(pid) for pid in served(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(pid) for pid in served(tmp_path)), "they end with their workers"


def served(folder: Path) -> list[int]:
    """Return the processes of all servers of the models in a folder, in the order of their starts."""
    noted = folder / "servers"
    return [int(line) for line in noted.read_text().splitlines()] if noted.exists() else []


@pytest.mark.ray
def test_a_node_that_dies_costs_its_pieces_alone(two: Any, tmp_path: Path) -> None:
    run_trace(recipe(tmp_path / "local", 2))
    second = next(iter(two.worker_nodes))
    raylet, survivor = (str(node.all_processes["raylet"][0].process.pid) for node in (second, two.head_node))

    def at_work() -> bool:
        return sum(node == raylet for _, _, node in attempts(tmp_path / "ray")) >= 3

    killer = meanwhile(at_work, lambda: two.remove_node(second, allow_graceful=False))
    run_trace(on_ray(recipe(tmp_path / "ray"), two))
    killer.join()
    assert not two.worker_nodes, "it was killed"
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    made = attempts(tmp_path / "ray")
    pieces = [piece for piece, _, _ in made]
    again = {piece for piece in pieces if pieces.count(piece) > 1}
    assert len(set(pieces)) == 24 and len(again) <= 1 and len(pieces) == 24 + len(again)
    # A worker outlives its node for a moment, and then has another parent.
    assert all(next(node for piece, _, node in made if piece == one) != survivor for one in again)
    assert "a worker was lost" in (tmp_path / "ray/run/trace/log.txt").read_text()


@pytest.mark.ray
def test_ctrl_c_finishes_what_is_in_flight_and_the_next_run_goes_on(two: Any, tmp_path: Path) -> None:
    file = on_ray(recipe(tmp_path), two)
    interrupt = meanwhile(lambda: len(attempts(tmp_path)) >= 4, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Interrupted, match="goes on from there"):
        run_trace(file)
    interrupt.join()
    done = len(attempts(tmp_path))
    assert done < 24 and len(list((tmp_path / "run/trace").glob("kept-*"))) == done
    run_trace(file)
    pieces = [piece for piece, _, _ in attempts(tmp_path)]
    assert len(pieces) == len(set(pieces)) == 24, "nothing was done twice"


@recorded(version=1)
def refuse(step: Step, options: Select, *, segments: Records[Any]) -> Records[Any]:
    return step.map(refused_piece, step.cut(segments, 4), Segment, "segments")


def refused_piece(worker: WorkerContext, piece: Iterable[Segment]) -> Outcome[Any]:
    raise MissingExtra("pypdf", "pdf", "reading PDF")


def test_results_and_errors_are_those_of_local_processes(cluster: Any, tmp_path: Path) -> None:
    with Run(on_ray(recipe(tmp_path), cluster)) as run:
        segments = run.step("make", make, Select(top_n=8))
        sifted = run.step("sift", sift, Select(top_n=1), segments=segments)
        assert [one.id for one in sifted] == [f"id{number:04d}" for number in (0, 2, 4, 6)]
        with pytest.raises(MissingExtra, match=r"^reading PDF needs pypdf, .*'askback\[pdf\]'$"):
            run.step("refuse", refuse, Select(top_n=1), segments=segments)
        with pytest.raises(WorkerDied, match=r"ZeroDivisionError: no such luck.*log\.txt") as caught:
            run.step("stumble", stumble, Select(top_n=1), segments=segments)
        assert "\n" not in str(caught.value) and "Traceback" in (run.folder / "stumble/log.txt").read_text()
        with pytest.raises(EmptyStep):
            run.step("empty", sift, Select(top_n=1), segments=Records[Any](tmp_path, ""))


def test_a_piece_that_kills_its_workers_is_given_up(cluster: Any, tmp_path: Path) -> None:
    with Run(on_ray(recipe(tmp_path), cluster)) as run:
        with pytest.raises(WorkerDied, match=r"3 Ray workers were lost .* at the same piece.*log\.txt") as caught:
            run.step("fall", fall, Select(top_n=1), segments=run.step("make", make, Select(top_n=3)))
        assert "\n" not in str(caught.value)
        assert (run.folder / "fall/log.txt").read_text().count("a worker was lost at piece 0") == 3


def test_a_worker_larger_than_any_node_is_said(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray_tasks, "SAY_S", 0.1)
    monkeypatch.setattr(ray_tasks, "START_S", 8.0)  # one look at a cluster may take seconds
    file = on_ray(recipe(tmp_path), cluster, cpus_per_worker=64)
    with (
        Run(file, Progress()) as run,
        pytest.raises(InputError, match="one takes 64 CPU, 0 GPU, free in the cluster are"),
    ):
        run.step("sift", sift, Select(top_n=1), segments=run.step("make", make, Select(top_n=3)))
    assert "no node of the Ray cluster has started a worker yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("models", "cpus", "gpus"), [(0, 2.0, 0.0), (1, 2.0, 1.0), (4, 8.0, 4.0)], ids=["none", "a model", "4 processes"]
)
def test_what_a_worker_takes_of_a_cluster_with_gpus(models: int, cpus: float, gpus: float) -> None:
    class WithGpus:
        @staticmethod
        def cluster_resources() -> dict[str, float]:
            return {"GPU": 8.0}

    asked = Resources(executor="ray", cpus_per_worker=2)
    assert ray_tasks._needs(WithGpus, ray_tasks.Wanted(asked, models, False)) == {"num_cpus": cpus, "num_gpus": gpus}
    asked = asked.model_copy(update={"gpus_per_worker": 0.5})
    assert ray_tasks._needs(WithGpus, ray_tasks.Wanted(asked, models, False))["num_gpus"] == gpus / 2


def test_a_connection_that_was_there_before_stays(cluster: Any) -> None:
    import ray

    for before in (True, False):
        if before:
            ray.init(cluster.address, log_to_driver=False)
        mine = ray_tasks.Cluster()
        desk = mine.connect(cluster.address).desk
        assert ray.get(desk.news.remote()) == []
        mine.close()
        assert ray.is_initialized() == before
        ray.shutdown()


def test_no_cluster_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(InputError, match=rf"the Ray cluster at '{nobody}' cannot be used: ConnectionRefusedError"):
        ray_tasks.Cluster().connect(nobody)


def test_a_node_that_does_not_see_the_run_folder_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_worker, "SEE_S", 0.1)
    begin = ray_worker.Worker(None).begin
    version = __version__
    for mark in (tmp_path / "gone/.ray.tmp", tmp_path / ".ray.tmp"):
        wrong = begin(str(Path.cwd()), str(mark), "log", 1, version)
        assert isinstance(wrong, InputError) and f"does not see the run folder, {mark.parent};" in str(wrong)
    assert "does not see /nowhere" in str(begin("/nowhere", str(tmp_path), "log", 1, version))
    assert "all need the same" in str(begin(str(tmp_path), str(tmp_path), "log", 1, "0.0.1"))


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"askback\[ray\]"):
        ray_tasks.Cluster().connect("auto")
