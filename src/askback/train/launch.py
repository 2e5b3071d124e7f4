"""A training in several processes, on one node or more: ``accelerate launch`` runs worker.py in each of them.

They communicate with the process that started them through the step's folder ``launch``, which every node sees: they read
``accelerate.yaml`` and ``job.json``; the first one adds a line to ``steps.jsonl`` after every step, and stops when there is
a file ``stop``; one that fails writes ``failed-N.json``. None outlives the process that started it (engines/guard.py).
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from askback import errors, owned
from askback.engines import guard
from askback.errors import AskbackError, RecipeError, WorkerDied
from askback.execution.on_disk import FORECAST, ForecastFile, read_json
from askback.execution.processes import SAFE_PATH
from askback.recipe import Backward, Launch, Training
from askback.train.finetune import Job
from askback.train.training_rows import Taught

FOLDER, CONFIG, JOB, STEPS, STOP = "launch", "accelerate.yaml", "job.json", "steps.jsonl", "stop"

PAUSE = 0.2
"""Seconds between two reads of the reported steps."""


def check_shares(options: Launch, batch_size: int) -> None:
    """Check that every process gets the same number of a batch's examples.

    Raises:
        RecipeError: the batch cannot be divided evenly.
    """
    if batch_size % options.total:
        raise RecipeError(
            f"resources.training: {options.total} processes cannot share a batch of {batch_size} examples evenly; "
            "let processes × nodes divide it, or give another batch_size"
        )


def accelerate_config(options: Launch) -> dict[str, Any]:
    """Return the configuration of ``accelerate launch``; a node's own number is an argument beside it."""
    host, _, port = options.main_address.partition(":")
    config: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        # Without a GPU, the processes train on the CPU; accelerate's own name for that needs MPI.
        "distributed_type": {"ddp": "MULTI_GPU", "fsdp": "FSDP"}[options.strategy],
        "num_machines": options.nodes,
        "num_processes": options.total,
        "machine_rank": 0,
        "main_process_ip": host or "127.0.0.1",
        "main_process_port": int(port or 0),
        "rdzv_backend": "static",
        "same_network": True,
        "gpu_ids": "all",
        "use_cpu": False,
        "mixed_precision": "no",  # `SFTConfig` sets it
        "debug": False,
    }
    if options.strategy == "fsdp":
        config["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_reshard_after_forward": True,
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_offload_params": False,
            "fsdp_cpu_ram_efficient_loading": False,
        }
    return config


def train_together(
    job: Job, options: Launch, report: Callable[[int, int], None], stopping: Callable[[], bool]
) -> dict[str, float | int]:
    """Train as `finetune` does, in several processes; when `stopping()`, they save a checkpoint and stop.

    Raises:
        AskbackError: as `finetune`.
        WorkerDied: a process ended without a result.
    """
    folder = Path(job.folder) / FOLDER
    owned.claim(Path(job.folder), "step")
    owned.remove(folder)
    owned.whole(folder)
    _write(folder / CONFIG, accelerate_config(options))  # which is YAML, too
    write_job(folder / JOB, job)
    try:
        with launched(folder) as process:
            for steps, tokens in _follow(folder / STEPS, process):
                report(steps, tokens)
                if stopping():
                    owned.append(folder / STOP).close()
            status = process.wait()
    finally:
        owned.remove(folder / JOB)  # it holds a copy of all examples, and no node may join any more
    if failed := sorted(folder.glob("failed-*.json"), key=lambda path: path.stat().st_mtime_ns):
        raise _error(json.loads(failed[0].read_text("utf-8")))  # the others failed because of this one
    if status:
        raise WorkerDied(
            f"training in {options.total} processes ended without a result (status {status}; out of memory, or killed); "
            "the log of the step has their last output. Run the same command again to go on."
        )
    metrics: dict[str, float | int] = json.loads((Path(job.folder) / "result.json").read_text("utf-8"))["metrics"]
    return metrics


def join(run: Path, node: int, say: Callable[[str], None]) -> None:
    """Do the part of node `node` in every training of a run on another node, until the last step of its plan is done.

    Raises:
        RecipeError: the run has no such node.
    """
    say(f"{run}: waiting for a training")
    while not _over(run):
        for job in sorted(run.glob(f"*/{FOLDER}/{JOB}")):
            nodes = json.loads((job.parent / CONFIG).read_text("utf-8"))["num_machines"]
            if not 0 < node < nodes:
                raise RecipeError(f"--node {node}: {run} is trained on {nodes} nodes; allowed: 1 to {nodes - 1}")
            say(f"{job.parents[1].name}: joining as node {node} of {nodes}")
            with launched(job.parent, node) as process:
                process.wait()
        time.sleep(1.0)


def _over(run: Path) -> bool:
    """Tell whether the last step is done that was planned when the run began; without a plan, its result."""
    planned = read_json(run / FORECAST, ForecastFile)["steps"] if (run / FORECAST).exists() else {}
    return (run / next(reversed(planned), "result") / "step.json").exists()


@contextmanager
def launched(folder: Path, node: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    """Start this node's processes; they end with the `with` block."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(folder / CONFIG)]
    command += ["--machine_rank", str(node), "-m", "askback.train.worker", str(folder / JOB)]
    processes = json.loads((folder / CONFIG).read_text("utf-8"))
    here = processes["num_processes"] // processes["num_machines"]
    threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
    with subprocess.Popen(
        [sys.executable, "-P", guard.__file__, *command],
        stdin=subprocess.PIPE,
        env=os.environ | SAFE_PATH | {"OMP_NUM_THREADS": str(max(1, threads // here))},
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()


def _follow(path: Path, process: "subprocess.Popen[bytes]") -> Iterator[tuple[int, int]]:
    """Yield (steps, tokens) as they are reported, and (0, 0) meanwhile, until the process ends."""
    read, ended = 0, False
    while not ended:
        ended = process.poll() is not None
        lines = path.read_bytes()[read:].splitlines(keepends=True) if path.exists() else []
        for line in lines:
            if line.endswith(b"\n"):
                read += len(line)
                yield tuple(json.loads(line))
        if not ended:
            yield 0, 0
            time.sleep(PAUSE)


def write_job(path: Path, job: Job) -> None:
    """Write a job for other processes to read."""
    plain = {field.name: getattr(job, field.name) for field in fields(Job)}
    examples = [asdict(one) for one in job.examples]
    _write(path, plain | {"options": job.options.model_dump(mode="json"), "examples": examples})


def _write(path: Path, value: Any) -> None:
    """Write JSON as it is, without names of variables in place of their values: it is trained by, and then removed."""
    with owned.atomic(path) as temporary:
        temporary.write_text(json.dumps(value), "utf-8")


def read_job(path: Path) -> Job:
    """Return the job that `write_job` wrote."""
    plain = json.loads(path.read_text("utf-8"))
    options = (Backward if "refusals" in plain["options"] else Training).model_validate(plain["options"])
    examples = TypeAdapter(list[Taught]).validate_python(plain["examples"])
    return Job(**plain | {"options": options, "examples": examples, "trackers": tuple(plain["trackers"])})


def _error(failure: dict[str, str]) -> AskbackError:
    kind = getattr(errors, failure["kind"])
    error: AskbackError = kind.__new__(kind)
    error.args = (failure["message"],)
    return error
