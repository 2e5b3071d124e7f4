"""Work in processes of its own on this machine: a pool for pieces of a step, one process for a training.

Processes begin afresh, spawned or forked from one that has done nothing but import (`_start_method`), never from this
one, and end with the step, so that a GPU's memory is free for the next one. They are deaf to Ctrl-C (the parent drains
them), write what libraries print to the step's log, and die with the parent, however it dies.
"""

import errno
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process, set_forkserver_preload
from multiprocessing.connection import wait as wait_sentinel
from pathlib import Path
from socket import gethostname
from typing import Any, TypeVar

from askback import owned
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.errors import AskbackError, Interrupted, WorkerDied, storage_error
from askback.recipe.variables import hide

Report = Callable[[int, Tokens], None]
"""``report(records, tokens)``: `records` more are done, with these tokens."""

A = TypeVar("A")
"""A piece of work."""
B = TypeVar("B")
"""The result of a piece."""
Work = Callable[[WorkerContext, A], B]
"""The function that a worker calls with each piece."""

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""Environment with which Python imports no modules from the working directory, where documents and models with programs
in them may lie."""

QUIET = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What libraries read in a worker's environment, unless it is set otherwise; some do when they are imported."""

GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg", "/dev/dri")
"""Device files of NVIDIA's, AMD's, WSL's and Intel's drivers."""

STOPPED = "stopped; everything finished is saved. The same command goes on from there."


class Drain:
    """The first Ctrl-C (or SIGTERM) finishes and saves the work in flight, then stops; the second stops at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, say: Callable[[str], None]) -> None:
        self.asked = threading.Event()
        self.say = say
        self._before: list[Any] = []

    def __enter__(self) -> "Drain":
        if threading.current_thread() is threading.main_thread():
            self._before = [signal.signal(number, self._on_signal) for number in self.SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in zip(self.SIGNALS, self._before, strict=False):
            signal.signal(number, before)

    def _on_signal(self, *_: object) -> None:
        if self.asked.is_set():
            raise KeyboardInterrupt
        self.ask("Stopping")

    def ask(self, why: str) -> None:
        """Stop as at the first Ctrl-C."""
        if not self.asked.is_set():
            self.asked.set()
            self.say(f"{why}: finishing and saving what is in flight. Another Ctrl-C stops at once.")


def run_pieces(
    work: Work[A, B], pieces: Iterable[A], workers: int, log: Path, drain: Drain, on_report: Report, preload: str = ""
) -> Iterator[B]:
    """Call ``work(worker, piece)`` for each piece in `workers` processes and yield the results as they come.

    What `work` reports through its `WorkerContext`, `on_report` receives here. No more pieces are handed out than there
    are workers, so that draining is quick.

    Args:
        preload: a module to import before workers are forked, where they may be (`_start_method`). The first such
            module of this process counts; a later one's libraries are imported by each worker itself.

    Raises:
        Interrupted: Ctrl-C; what was in flight has been finished.
        WorkerDied: a process ended without an answer.
    """
    context = get_context(_start_method(preload))
    with _environment():  # the first of these starts a process of its own
        reports = context.SimpleQueue()
        stop = context.Event()
        environment = dict(os.environ)
    threads = max(1, (os.cpu_count() or 1) // workers)
    pool = ProcessPoolExecutor(workers, context, _begin, (str(log), threads, environment, reports, stop))
    todo = iter(pieces)
    flying: set[Future[B]] = set()
    try:
        while True:
            while not drain.asked.is_set() and len(flying) < workers and (piece := next(todo, None)) is not None:
                flying.add(_submit(pool, work, log, piece))
            if drain.asked.is_set():
                stop.set()
            if not flying:
                break
            done, flying = wait(flying, timeout=0.2, return_when=FIRST_COMPLETED)
            while not reports.empty():
                on_report(*reports.get())
            for future in done:
                if not (drain.asked.is_set() and isinstance(future.exception(), Interrupted)):
                    yield future.result()
        while not reports.empty():
            on_report(*reports.get())
        if drain.asked.is_set():
            raise Interrupted(STOPPED)
    except BrokenProcessPool as error:
        raise WorkerDied(
            f"a worker process ended without a result (out of memory, or killed); its last output is in {log}. "
            "Run the same command again to go on; a smaller batch_tokens or fewer workers need less memory."
        ) from error
    finally:
        _end(pool, flying)


def _submit(pool: ProcessPoolExecutor, work: Work[A, B], log: Path, piece: A) -> Future[B]:
    """Hand out one piece. A process started here inherits the blocked signals, so that a Ctrl-C, which the terminal sends
    to all, and a scheduler's SIGTERM reach the parent alone from the start."""
    signal.pthread_sigmask(signal.SIG_BLOCK, Drain.SIGNALS)
    try:
        with _environment():
            return pool.submit(_answer, work, log, piece)
    except (OSError, ValueError, EOFError) as error:
        # A process died while this one was starting, so that the pool closes; or this one died.
        raise BrokenProcessPool(str(error)) from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, Drain.SIGNALS)


def _start_method(preload: str) -> str:
    """Return how `get_context` starts processes: spawned, or forked from a process that has imported `preload` alone.

    That takes a fork where imports take seconds. It is done on Linux without a GPU, as an import may initialise a GPU's
    driver, which does not survive a fork; and where the path of a socket, of at most 107 bytes, can be made.
    """
    forkable = sys.platform == "linux" and not any(Path(gpu).exists() for gpu in GPUS)
    if not preload or not forkable or len(os.fsencode(tempfile.gettempdir())) > 70:
        return "spawn"
    set_forkserver_preload([preload])
    return "forkserver"


@contextmanager
def _environment() -> Iterator[None]:
    """Start processes under `SAFE_PATH` and `QUIET`; this one's environment is as before."""
    before = dict(os.environ)
    os.environ.update({**QUIET, **before, **SAFE_PATH})
    try:
        yield
    finally:
        for name in {*QUIET, *SAFE_PATH} - before.keys():
            del os.environ[name]
        os.environ.update(before)


def answer(work: Work[A, B], worker: WorkerContext, log: Path, piece: A) -> B:
    """In a worker: do the work; an unforeseen error is raised as one line, with its traceback in the log."""
    try:
        return work(worker, piece)
    except AskbackError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise storage_error(Path(error.filename or log.parent), error) from error
        raise _unforeseen(error, log) from error
    except Exception as error:
        raise _unforeseen(error, log) from error


def _unforeseen(error: Exception, log: Path) -> WorkerDied:
    sys.stderr.write(hide(traceback.format_exc()))
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    hint = "; a smaller batch_tokens needs less memory" if "memory" in reason.lower() else ""
    return WorkerDied(f"a worker process failed: {reason}{hint}. The traceback is in {log}")


def _end(pool: ProcessPoolExecutor, flying: set[Future[Any]]) -> None:
    """Close the pool; with work still in flight, after an error, end its processes now."""
    if flying:
        for process in list((pool._processes or {}).values()):
            process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


_worker: WorkerContext | None = None
"""The context of this process if a pool started it; a pool has no other place for per-process state."""


def _begin(log: str, threads: int, environment: dict[str, str], reports: Any, stop: Any) -> None:
    """Prepare a process of the pool, whose reports go into a queue."""
    global _worker
    os.environ.clear()  # one that is forked has the environment of when the first was
    os.environ.update(environment)
    begin(log, threads)
    _worker = WorkerContext(lambda records, tokens: reports.put((records, tokens)), stop.is_set)


def _answer(work: Work[A, B], log: Path, piece: A) -> B:
    assert _worker is not None
    return answer(work, _worker, log, piece)


def begin(log: str, threads: int) -> None:
    """Prepare a worker process: its log, its threads, and its end with the parent."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # Two workers with a thread per core each would only fight.
    given = os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    if torch := sys.modules.get("torch"):  # it has read the variable of the process it is forked from
        torch.set_num_threads(int(given.partition(",")[0]))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    sys.stdout.flush()
    sys.stderr.flush()
    with owned.append(Path(log)) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.write(2, f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] process {os.getpid()} on {gethostname()} begins\n".encode())


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait_sentinel([parent.sentinel])
        os._exit(1)
