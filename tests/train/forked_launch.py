"""`accelerate launch` whose processes are forked from one that has imported the libraries, which takes seven seconds."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

from askback.cli import app
from askback.execution import processes
from askback.train import launch
from askback.train.launch import CONFIG, JOB


class Started:
    """A process that runs `accelerate launch`, with what callers use of a `subprocess.Popen`."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode


@contextmanager
def launched(folder: Path, node: int = 0, cpu_has_fsdp: bool = False) -> Iterator[Any]:
    """Do as `askback.train.launch.launched`.

    Args:
        cpu_has_fsdp: apply fsdp_on_cpu.py in the processes that train.
    """
    process = _started(_launch, str(folder), node, cpu_has_fsdp, dict(os.environ))
    try:
        yield Started(process)
    finally:
        process.join()


def joining(run: Path, node: int) -> BaseProcess:
    """Start a process that is another node, by the command `askback join`; its training is launched by forks, too."""
    return _started(_join, str(run), str(node))


def _started(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    context: Any = multiprocessing.get_context(processes._start_method("askback.train.preload"))
    process: BaseProcess = context.Process(target=target, args=arguments)
    process.start()
    return process


def _join(run: str, node: str) -> None:
    with mock.patch.object(launch, "launched", launched):
        app(["join", run, "--node", node])


def _launch(folder: str, node: int, cpu_has_fsdp: bool, environment: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed import run

    arguments = ["--config_file", f"{folder}/{CONFIG}", "--machine_rank", str(node), "-m", "askback.train.worker"]
    asked = launch_command_parser().parse_args([*arguments, f"{folder}/{JOB}"])
    configured = run.config_from_args

    def forking(given: Any) -> Any:
        config, *_ = configured(given)
        config.start_method = "fork"
        return config, _train, [f"{folder}/{JOB}", cpu_has_fsdp]

    with mock.patch.object(run, "config_from_args", forking):
        launch_command(asked)


def _train(job: str, cpu_has_fsdp: bool) -> None:
    import torch

    from askback.train.worker import main

    torch.set_num_threads(1)
    if cpu_has_fsdp:
        from tests.train import fsdp_on_cpu  # noqa: F401
    sys.exit(main(Path(job)))
