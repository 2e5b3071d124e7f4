"""Several processes train as one does: through accelerate, with gloo, on this machine's CPU."""

import json
import os
import pickle
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from askback import owned
from askback.errors import InputError, Interrupted, MissingExtra, RecipeError
from askback.execution.shards import write_json
from askback.recipe import Backward, Launch, Lora, Training
from askback.recipe.variables import HIDDEN, fill
from askback.train import Job, finetune, launch
from askback.train.launch import (
    CONFIG,
    FOLDER,
    JOB,
    STOP,
    _error,
    accelerate_config,
    check_shares,
    join,
    read_job,
    train_together,
    write_job,
)
from askback.train.training_rows import Taught
from tests.train import forked_launch
from tests.train.examples import example, examples, lesson

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

TWO = Launch(processes=2)
FULL = Training(steps=20, batch_size=6, learning_rate=1e-4, trl={"bf16": False})
LORA = FULL.model_copy(update={"steps": 8, "learning_rate": 1e-3, "lora": Lora(rank=4, alpha=8)})


def job_of(base: Path, folder: Path, options: Training = FULL, **changes: Any) -> Job:
    """Rows of 5 to 40 words, and judgements, whose common beginning is read once: also by one process alone."""
    taught: list[Taught] = [*examples(10), *(lesson(one, float(at % 5 + 1)) for at, one in JUDGED)]
    return replace(Job(str(base), "", "forward", options, taught, str(folder), 7, 0.0), **changes)


JUDGED = [(number, example(number)) for number in range(10, 16)]


def never() -> bool:
    return False


def ignore(_: int, __: int) -> None:
    return None


def losses_of(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


def assert_same(base: Path, one: Path, other: Path) -> None:
    """The same losses at each step, and weights that differ by far less than training has moved them."""
    from safetensors.torch import load_file

    assert losses_of(other) == pytest.approx(losses_of(one), abs=1e-4)
    before, first, second = (load_file(path) for path in (base / "model.safetensors", *models(one, other)))
    assert before.keys() == first.keys() == second.keys()
    moved = max((first[name] - before[name]).abs().max() for name in before)
    assert moved > 1e-4
    for name in before:
        assert (first[name] - second[name]).abs().max() <= 0.05 * moved


def models(*folders: Path) -> list[Path]:
    return [folder / "model/model.safetensors" for folder in folders]


def processes_about(folder: Path) -> list[str]:
    """Command lines of the processes that name the folder, launchers and all."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line and int(path.parent.name) != os.getpid():
            found.append(line)
    return found


KILLED = """
import pickle, sys
from askback.recipe import Launch
from askback.train.training_rows import Taught
from askback.train.launch import train_together
def report(steps, tokens):
    if steps:
        print(steps, flush=True)
train_together(pickle.load(sys.stdin.buffer), Launch(processes=2), report, lambda: False)
"""


def test_two_processes_killed_and_resumed_are_as_one(forked: None, tiny_model: Path, tmp_path: Path) -> None:
    straight, job = job_of(tiny_model, tmp_path / "one"), job_of(tiny_model, tmp_path / "two")
    expected = finetune(straight, ignore)
    with subprocess.Popen([sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(pickle.dumps(job))
        child.stdin.close()
        assert [child.stdout.readline() for _ in range(3)] == [b"1\n"] * 3
        assert len(processes_about(tmp_path / "two")) >= 3
        child.kill()
    deadline = time.monotonic() + 60
    while processes_about(tmp_path / "two") and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not processes_about(tmp_path / "two"), "none outlives the one that asked"
    assert not (tmp_path / "two/model").exists()

    told: list[tuple[int, int]] = []
    metrics = train_together(job, TWO, lambda *done: told.append(done), never)
    told = [done for done in told if done != (0, 0)]
    resumed, nothing = told[0]
    assert resumed >= 1
    assert nothing == 0
    assert len(told) == 21 - resumed
    assert_same(tiny_model, tmp_path / "one", tmp_path / "two")
    # What the two count and what they leave in the folder is what one does.
    assert {**metrics, "seconds": 0} == pytest.approx({**expected, "seconds": 0}, abs=1e-4)
    assert not (tmp_path / "two" / FOLDER / JOB).exists()
    left = [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two")]
    assert left[1] == sorted([*left[0], FOLDER])


def test_two_nodes_stop_together_and_one_process_goes_on(forked: None, tiny_model: Path, tmp_path: Path) -> None:
    """An adapter, trained by a process on each of two nodes that meet here."""
    straight, job = job_of(tiny_model, tmp_path / "one", LORA), job_of(tiny_model, tmp_path / "run/m0", LORA)
    finetune(straight, ignore)
    done = 0

    def count(steps: int, _: int) -> None:
        nonlocal done
        done += steps

    from askback.engines.vllm.vllm_server import _free_port

    devices = Launch(nodes=2, main_address=f"127.0.0.1:{_free_port()}")
    other = forked_launch.joining(tmp_path / "run", node=1)
    try:
        with pytest.raises(Interrupted, match="checkpoint is saved"):
            train_together(job, devices, count, lambda: done >= 2)
    finally:
        other.terminate()
        other.join()
    assert 2 <= done < 8
    told: list[tuple[int, int]] = []
    finetune(job, lambda *more: told.append(more))
    assert told[0][0] >= 2
    assert_same(tiny_model, tmp_path / "one", tmp_path / "run/m0")


@pytest.fixture
def forked(libraries: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `train_together` launch by forks."""
    monkeypatch.setattr(launch, "launched", forked_launch.launched)


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_fsdp_is_as_one(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Stopped after a few steps, and resumed."""
    options = LORA if kind == "lora" else FULL.model_copy(update={"steps": 8})
    straight, job = job_of(tiny_model, tmp_path / "one", options), job_of(tiny_model, tmp_path / "two", options)
    finetune(straight, ignore)
    owned.claim(tmp_path / "two", "step")
    folder = owned.whole(tmp_path / "two" / FOLDER)
    write_json(folder / CONFIG, accelerate_config(Launch(processes=2, strategy="fsdp")))
    write_job(folder / JOB, job)
    monkeypatch.setenv("ACCELERATE_TORCH_DEVICE", "cpu")
    if kind == "full":
        (folder / STOP).touch()
        with forked_launch.launched(folder, cpu_has_fsdp=True) as process:
            assert process.wait() == 0
        assert json.loads((folder / "failed-0.json").read_text("utf-8"))["kind"] == "Interrupted"
        assert not (tmp_path / "two/model").exists()
        assert len(losses_of(tmp_path / "two")) == 1
        (folder / STOP).unlink()
    with forked_launch.launched(folder, cpu_has_fsdp=True) as process:
        assert process.wait() == 0
    assert_same(tiny_model, tmp_path / "one", tmp_path / "two")


def test_what_goes_wrong_in_one_process_is_told(forked: None, tiny_model: Path, tmp_path: Path) -> None:
    options = Training(steps=8, batch_size=4, learning_rate=1e30, trl={"bf16": False})
    with pytest.raises(InputError, match=r"training loss is (nan|inf) at step \d.*lower learning_rate"):
        train_together(job_of(tiny_model, tmp_path, options), TWO, ignore, never)
    assert not (tmp_path / "model").exists()


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    for options in (LORA, Backward(refusals=0.1, trl={"adam_beta2": 0.95})):
        job = job_of(tmp_path, tmp_path, options, device_map="auto")
        path = tmp_path / f"{type(options).__name__}.json"
        write_job(path, job)
        assert read_job(path) == job


def test_errors_keep_their_kind_and_words() -> None:
    told = MissingExtra("trl", "local", "training")
    error = _error({"kind": "MissingExtra", "message": str(told)})
    assert (type(error), str(error)) == (MissingExtra, str(told))


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    check_shares(Launch(processes=4, nodes=2, main_address="a:1"), 8)
    with pytest.raises(RecipeError, match=r"6 processes cannot share a batch of 8"):
        check_shares(Launch(processes=3, nodes=2, main_address="a:1"), 8)


def test_a_node_that_the_run_lacks_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "m0" / FOLDER
    folder.mkdir(parents=True)
    write_json(folder / CONFIG, accelerate_config(Launch(nodes=2, main_address="127.0.0.1:1")))
    (folder / JOB).touch()
    with pytest.raises(RecipeError, match="allowed: 1 to 1"):
        join(tmp_path, 2, print)


@pytest.mark.parametrize(
    ("planned", "last"), [(["m0", "select-1"], "select-1"), (["m0", "result"], "result"), ([], "result")]
)
def test_a_node_leaves_when_the_last_planned_step_is_done(tmp_path: Path, planned: list[str], last: str) -> None:
    if planned:
        steps = {name: {"name": name} for name in planned}
        write_json(tmp_path / "forecast.json", {"rates": "", "steps": steps})
    (tmp_path / last).mkdir()
    write_json(tmp_path / last / "step.json", {})
    join(tmp_path, 1, print)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_accelerate_takes_the_configuration(tmp_path: Path, strategy: Any) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    devices = Launch(processes=4, nodes=2, main_address="node-0.lan:29500", strategy=strategy)
    write_json(tmp_path / CONFIG, accelerate_config(devices))
    read = load_config_from_file(str(tmp_path / CONFIG))
    assert (read.num_processes, read.num_machines, read.main_process_port) == (8, 2, 29500)
    assert read.main_process_ip == "node-0.lan"
    assert read.distributed_type.value == {"ddp": "MULTI_GPU", "fsdp": "FSDP"}[strategy]


def test_a_job_is_read_as_it_was_written_whatever_variables_hold(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a text holds is trained on as it is, also where it is the value of a variable of the recipe."""
    monkeypatch.setenv(HIDDEN, "")
    monkeypatch.setenv("MODELS", str(tiny_model.parent))
    job = job_of(tiny_model, tmp_path / "m0", LORA)
    monkeypatch.setenv("DATA", str(job.examples[0].output)[:12])
    for name in ("MODELS", "DATA"):
        fill(f"${{{name}}}", [])
    write_job(tmp_path / "job.json", job)
    assert read_job(tmp_path / "job.json") == job
