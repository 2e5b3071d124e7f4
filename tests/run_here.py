"""Pieces of work done in the process of a test, in place of worker processes, which take longer to start than to work."""

import io
import pickle
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from threading import Lock
from typing import Any
from unittest import mock

from askback import owned
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.errors import Interrupted
from askback.execution import step
from askback.execution.processes import STOPPED, Drain, Report, Work, _environment, answer
from askback.plan import measure

CALLERS = (step, measure)
"""Modules that call `run_pieces`."""


@contextmanager
def working_here() -> Iterator[None]:
    """Have the work of steps done by `run_here`."""
    with mock.patch.object(step, "run_pieces", run_here), mock.patch.object(measure, "run_pieces", run_here):
        yield


def run_here(
    work: Work[Any, Any], pieces: Iterable[Any], workers: int, log: Path, drain: Drain, on_report: Report, *_: str
) -> Iterator[Any]:
    """Do as `askback.execution.processes.run_pieces`, with one worker that is this process.

    What a worker gets and returns is pickled, as on its way to a process and back, and what is printed goes to the log.
    """
    one_by_one = Lock()  # an engine may report from threads

    def report(records: int, tokens: Tokens) -> None:
        with one_by_one:
            on_report(records, tokens)

    worker = WorkerContext(report, drain.asked.is_set)
    try:
        for piece in pieces:
            if drain.asked.is_set():
                break
            yield _answered(work, worker, log, piece)
        if drain.asked.is_set():
            raise Interrupted(STOPPED)
    finally:
        for child in worker.idle:
            child.end()


def _answered(work: Work[Any, Any], worker: WorkerContext, log: Path, piece: Any) -> Any:
    printed = io.StringIO()  # never closed: a library may log to it later
    given, sent = pickle.loads(pickle.dumps((work, piece)))
    try:
        with _environment(), redirect_stdout(printed), redirect_stderr(printed):
            return pickle.loads(pickle.dumps(answer(given, worker, log, sent)))
    finally:
        with owned.append(log) as file:
            file.write(printed.getvalue().encode())
