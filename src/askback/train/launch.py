"""A training in several processes, on one node or more: ``accelerate launch`` runs worker.py in each of them.

They meet the process that asked in the folder ``launch`` of the step, which every node sees: ``accelerate.yaml`` and
``job.json`` say what to do; the first process adds a line to ``told.jsonl`` after every step and looks whether there is a
file ``stop``; who fails says so in ``failed-N.json``. None outlives the one that asked (engines/guard.py).
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
from askback.execution.processes import SAFE_PATH
from askback.execution.shards import write_json
from askback.recipe import Backward, Launch, Training
from askback.train.finetune import Job
from askback.train.training_rows import Taught

FOLDER, CONFIG, JOB, TOLD, STOP = "launch", "accelerate.yaml", "job.json", "told.jsonl", "stop"

PAUSE = 0.2
"""Seconds between two reads of the reported steps."""


def check_shares(options: Launch, batch_size: int) -> None:
    """Check that every process gets the same number of a batch's examples.

    Raises:
        RecipeError: the batch cannot be shared so.
    """
    if batch_size % options.total:
        raise RecipeError(
            f"resources.training: {options.total} processes cannot share a batch of {batch_size} examples evenly; "
            f"let processes × nodes divide it, or give another batch_size"
        )


def accelerate_config(options: Launch) -> dict[str, Any]:
    """Return what ``accelerate launch`` reads as its configuration file; a node's own number is given beside it."""
    host, _, port = options.main_address.partition(":")
    config: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        # Without a GPU, the processes train on the CPU all the same; its name for that needs an MPI.
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
        "mixed_precision": "no",  # `SFTConfig` says
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
    """Do what `finetune` does, in several processes; once `stopping()`, they save a checkpoint first.

    Raises:
        AskbackError: what `finetune` raises.
        WorkerDied: a process ended without an answer.
    """
    folder = Path(job.folder) / FOLDER
    owned.claim(Path(job.folder), "step")
    owned.remove(folder)
    owned.whole(folder)
    write_json(folder / CONFIG, accelerate_config(options))  # which is YAML, too
    write_job(folder / JOB, job)
    try:
        with launched(folder) as process:
            for steps, tokens in _follow(folder / TOLD, process):
                report(steps, tokens)
                if stopping():
                    owned.append(folder / STOP).close()
            status = process.wait()
    finally:
        owned.remove(folder / JOB)  # it holds a copy of all examples, and nobody is to join any more
    if failed := sorted(folder.glob("failed-*.json"), key=lambda path: path.stat().st_mtime_ns):
        raise _error(json.loads(failed[0].read_text("utf-8")))  # the others failed because of this one
    if status:
        raise WorkerDied(
            f"training in {options.total} processes ended without an answer (status {status}; out of memory, or killed); "
            "the log of the step has their last words. Run the same command again to go on."
        )
    metrics: dict[str, float | int] = json.loads((Path(job.folder) / "result.json").read_text("utf-8"))["metrics"]
    return metrics


def join(run: Path, node: int, say: Callable[[str], None]) -> None:
    """Do the part of node `node` in every training of a run that goes on elsewhere, until the run has its result.

    Raises:
        RecipeError: the run has no such node.
    """
    say(f"{run}: waiting for a training")
    while not (run / "result" / "step.json").exists():
        for job in sorted(run.glob(f"*/{FOLDER}/{JOB}")):
            nodes = json.loads((job.parent / CONFIG).read_text("utf-8"))["num_machines"]
            if not 0 < node < nodes:
                raise RecipeError(f"--node {node}: {run} is trained on {nodes} nodes; allowed: 1 to {nodes - 1}")
            say(f"{job.parents[1].name}: joining as node {node} of {nodes}")
            with launched(job.parent, node) as process:
                process.wait()
        time.sleep(1.0)


@contextmanager
def launched(folder: Path, node: int = 0) -> Iterator["subprocess.Popen[bytes]"]:
    """Start this node's processes, and see to it that they end."""
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
    """Yield what is told as it comes, and (0, 0) meanwhile, until the process ends."""
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
    write_json(path, plain | {"options": job.options.model_dump(mode="json"), "examples": examples})


def read_job(path: Path) -> Job:
    """Return the job that `write_job` wrote."""
    plain = json.loads(path.read_text("utf-8"))
    options = (Backward if "refusals" in plain["options"] else Training).model_validate(plain["options"])
    examples = TypeAdapter(list[Taught]).validate_python(plain["examples"])
    return Job(**plain | {"options": options, "examples": examples, "trackers": tuple(plain["trackers"])})


def _error(said: dict[str, str]) -> AskbackError:
    kind = getattr(errors, said["kind"])
    error: AskbackError = kind.__new__(kind)
    error.args = (said["message"],)
    return error
