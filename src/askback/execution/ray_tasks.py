"""Work on a Ray cluster, with the promises of processes.py: same bytes, same files, same errors.

Each worker is a Ray actor that does one piece after another and keeps its loaded model between them. Workers that hold a
model are kept for the next step that asks one, and end before any other work on the cluster, such as a training. A worker
writes to the run folder itself, so no large data go through Ray. A piece whose worker or node is lost is redone by another
one, which is safe as files appear whole or not at all.
"""

import logging
import os
import secrets
import signal
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import askback
from askback import owned
from askback.errors import AskbackError, InputError, Interrupted, MissingExtra, WorkerDied, storage_error
from askback.execution.processes import STOPPED, A, B, Drain, Report, Work
from askback.execution.ray_worker import Desk, Worker
from askback.recipe import Resources

TRIES = 3
"""Number of workers lost at the same piece from which on the piece is taken for the cause."""
SAY_S, START_S = 15.0, 900.0
"""Seconds without any worker until a message, and until an error: a cluster that grows needs minutes."""
CLOSE_S = 30.0
"""Seconds that workers have to release their models before they end."""
_START = -1
"""The number, in place of a piece's, of a worker's start."""


class Connection(NamedTuple):
    """A connection to Ray, with the desk of this run."""

    ray: Any
    desk: Any
    address: str
    ours: bool
    """Whether Ray was connected here; the calling program's own connection stays open."""


class Wanted(NamedTuple):
    """Which workers a step wants on the cluster."""

    resources: Resources
    models: int
    """How many models each holds, a factor on `resources.cpus_per_worker` and `gpus_per_worker`; 0 takes no GPU."""
    keep: bool
    """Whether those that a step before kept are used, and kept again."""


class Cluster:
    """A connection that is made when a step first needs it, and kept until it is closed, with workers that hold models."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._kept: list[Any] = []
        self._needs: dict[str, float] = {}
        """What each worker that is kept takes of its node."""

    def connect(self, address: str) -> Connection:
        """Connect to the cluster at `address`; "" starts one here, which only this process and its children can use.

        Raises:
            InputError: there is no such cluster.
            MissingExtra: Ray is not installed.
        """
        known = self._connection
        if known is not None and known.address == address and known.ray.is_initialized():
            return known
        self.close()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "2")  # of 40 seconds each, to find a cluster
        if not address:
            # Otherwise Ray listens on all interfaces (the variable is named after the systems where it does not), and
            # writes its token, required since 2.59, to the home folder.
            os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        try:
            import ray
        except ImportError as error:
            raise MissingExtra("ray", "ray", "executor 'ray'") from error
        if ours := not ray.is_initialized():
            _init(ray, address)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        lasting = {"max_restarts": -1, "max_task_retries": -1}  # a restart forgets progress only
        desk = ray.remote(num_cpus=0, scheduling_strategy=here, **lasting)(Desk).remote()
        self._connection = Connection(ray, desk, address, ours)
        return self._connection

    def close(self) -> None:
        """End the connection that was made here, and the Ray that was started for it."""
        self.take({}, 0)
        known, self._connection = self._connection, None
        if known is not None and known.ours:
            known.ray.shutdown()
        elif known is not None:
            known.ray.kill(known.desk)

    def keep(self, workers: Sequence[Any], needs: dict[str, float]) -> None:
        """Keep idle workers, and with them their models, until other work is to be done."""
        self._kept, self._needs = [*self._kept, *workers], needs

    def take(self, needs: dict[str, float], count: int) -> list[Any]:
        """Return at most `count` of the workers kept, if they take `needs` of a node; if not, all of them end."""
        if needs != self._needs:
            if self._connection is not None and self._connection.ray.is_initialized():
                _end(self._connection.ray, self._kept)
            self._kept, self._needs = [], {}
        taken, self._kept = self._kept[:count], self._kept[count:]
        return taken


def run_pieces(
    work: Work[A, B],
    pieces: Sequence[A],
    workers: int,
    log: Path,
    drain: Drain,
    on_report: Report,
    wanted: Wanted,
    cluster: Cluster,
) -> Iterator[B]:
    """Call ``work(worker, piece)`` for each piece in `workers` Ray workers and yield the results as they come.

    Raises:
        Interrupted: Ctrl-C; the work in flight is finished.
        InputError: there is no such cluster, none of its nodes is large enough, or a node does not see the run folder.
        MissingExtra: Ray is not installed.
        WorkerDied: a piece failed unforeseen, or lost its worker several times.
    """
    if not pieces:
        return
    connection = cluster.connect(wanted.resources.address)
    ray, needs = connection.ray, _needs(connection.ray, wanted)
    kept = cluster.take(needs if wanted.keep else {}, workers)
    with _mark(log) as mark:
        crew = _Workers(connection, workers, needs, log, mark, drain.say, kept)
        crew.todo.extend(enumerate(pieces))
        try:
            while crew.busy or (crew.todo and not drain.asked.is_set()):
                if drain.asked.is_set():
                    crew.stop()
                else:
                    crew.hand_out(work)
                yield from crew.results()
                crew.pass_on(on_report)
            crew.pass_on(on_report)
            if drain.asked.is_set():
                raise Interrupted(STOPPED)
            if wanted.keep:
                cluster.keep(crew.let_go(), needs)
        except ray.exceptions.RayError as error:
            raise WorkerDied(
                f"Ray failed: {_line(error)[-400:]}. The same command goes on from there; see also {log}"
            ) from error
        finally:
            crew.end()


def _init(ray: Any, address: str) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    with _signals_kept():
        try:
            if ":" in address:  # Ray's own attempt takes minutes
                host, _, port = address.partition(":")
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(address or "local", include_dashboard=None if address else False, **quiet)
        except Exception as error:
            message = _line(error)[:400]
            if not address:
                raise InputError(f"resources.executor: Ray does not start here: {message}") from error
            raise InputError(
                f"resources.address: the Ray cluster at '{address}' cannot be used: {message}. askback has to be started "
                "on a node of it"
            ) from error


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _mark(log: Path) -> Iterator[Path]:
    """Create, for the `with` block, a file in the step's folder by which workers check that they see the folder."""
    mark = owned.unfinished(log.parent / f"ray-{secrets.token_hex(4)}").resolve()
    try:
        owned.append(mark).close()
    except OSError as error:
        raise storage_error(mark, error) from error
    try:
        yield mark
    finally:
        owned.remove(mark)
        list(mark.parent.iterdir())  # makes a network file system show the workers' files


def _needs(ray: Any, wanted: Wanted) -> dict[str, float]:
    resources, models = wanted.resources, wanted.models
    gpus = resources.gpus_per_worker
    if gpus is None:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) >= 1 else 0.0
    return {"num_cpus": resources.cpus_per_worker * max(1, models), "num_gpus": gpus * models}


def _end(ray: Any, workers: Sequence[Any]) -> None:
    """End idle workers, which release their models first, so that what follows finds the GPUs' memory free."""
    if closing := [worker.close.remote() for worker in workers]:
        ray.wait(closing, num_returns=len(closing), timeout=CLOSE_S)
    for worker in workers:
        ray.kill(worker)


def _line(error: BaseException) -> str:
    """Return the message of Ray's error in one line."""
    cause = getattr(error, "cause", None) or error
    return " ".join(f"{type(cause).__name__}: {cause}".split())


class _Workers:
    """The workers of a step: starting, busy with a piece, or idle; a lost one is replaced."""

    def __init__(
        self,
        connection: Connection,
        size: int,
        needs: dict[str, float],
        log: Path,
        mark: Path,
        say: Callable[[str], None],
        kept: Sequence[Any],
    ) -> None:
        ray, desk, *_ = connection
        self._ray, self._desk, self._needs, self._log, self._say = ray, desk, needs, log, say
        desk.open.remote()
        self._worker = partial(ray.remote(**needs)(Worker).remote, desk)
        threads = max(1, int(needs["num_cpus"]))
        self._greeting = (str(Path.cwd()), str(mark), str(log), threads, askback.__version__)
        self.todo: deque[tuple[int, Any]] = deque()
        self.busy: dict[Any, tuple[Any, tuple[int, Any]]] = {}
        """Reference of a result → the worker, and its piece."""
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._losses: Counter[int] = Counter()
        self._alone_since: float | None = time.monotonic()
        self._warned = False
        self._kept = set(kept)
        for worker in kept:
            self._greet(worker)
        for _ in range(size - len(kept)):
            self._start()

    def hand_out(self, work: Work[Any, Any]) -> None:
        """Give each idle worker a piece."""
        while self.todo and self._idle:
            worker, (number, piece) = self._idle.pop(), self.todo.popleft()
            self.busy[worker.work.remote(number, work, self._log, piece)] = worker, (number, piece)

    def results(self) -> Iterator[Any]:
        """Wait a moment and yield new results; queue the pieces of lost workers again.

        Raises:
            AskbackError: a worker raised it.
            WorkerDied: a piece lost its worker too often.
        """
        self._look_for_workers()
        done, _ = self._ray.wait([*self.busy, *self._starting], timeout=0.2)
        for reference in done:
            worker, piece = self.busy.pop(reference, None) or (self._starting.pop(reference), None)
            try:
                answer = self._ray.get(reference)
            except _lost(self._ray) as error:
                self._replace(worker, piece, error)
                continue
            if isinstance(answer, AskbackError) and not isinstance(answer, Interrupted):
                raise answer
            self._idle.append(worker)
            if piece is None:
                self._losses[_START] = 0
            elif not isinstance(answer, Interrupted):
                yield answer

    def pass_on(self, on_report: Report) -> None:
        """Pass on the workers' reports."""
        for records, tokens in self._ray.get(self._desk.news.remote()):
            on_report(records, tokens)

    def stop(self) -> None:
        """Ask workers that can save a checkpoint to do so."""
        self._desk.stop.remote()

    def let_go(self) -> list[Any]:
        """Return the idle workers, which are the caller's from now on."""
        idle, self._idle = self._idle, []
        return idle

    def end(self) -> None:
        """End all workers; busy ones are left only after an error."""
        _end(self._ray, self._idle)
        for worker in (*self._starting.values(), *(worker for worker, _ in self.busy.values())):
            self._ray.kill(worker)

    def _start(self) -> None:
        self._greet(self._worker())

    def _greet(self, worker: Any) -> None:
        self._starting[worker.begin.remote(*self._greeting)] = worker

    def _replace(self, worker: Any, piece: tuple[int, Any] | None, error: Exception) -> None:
        self._ray.kill(worker)  # it may be unreachable but alive
        number = _START if piece is None else piece[0]
        if (
            piece is not None or worker not in self._kept
        ):  # one that was lost between two steps says nothing of this one
            self._losses[number] += 1
        with owned.append(self._log) as log:
            what = "before its first piece" if piece is None else f"at piece {number}"
            log.write(f"[{time.strftime('%Y-%m-%d %H:%M:%S')}] a worker was lost {what}: {_line(error)}\n".encode())
        if self._losses[number] >= TRIES:
            why = f"before they could begin: {_line(error)[-300:]}" if piece is None else "at the same piece of work"
            raise WorkerDied(
                f"{TRIES} Ray workers were lost (out of memory, or killed) {why}; their last output is in {self._log}. Run "
                "the same command again to go on; a smaller batch_tokens or fewer workers need less memory."
            ) from error
        if piece is not None:
            self._desk.forget.remote(number)
            self.todo.appendleft(piece)
        self._start()

    def _look_for_workers(self) -> None:
        """Print a message, and later raise an error, while the cluster has no room for a single worker."""
        if self.busy or self._idle:
            self._alone_since, self._warned = None, False
            return
        now = time.monotonic()
        self._alone_since = self._alone_since or now
        if now - self._alone_since < SAY_S or (self._warned and now - self._alone_since < START_S):
            return
        free = self._ray.available_resources()
        wanted = ", ".join(f"{self._needs[f'num_{kind.lower()}s']:g} {kind}" for kind in ("CPU", "GPU"))
        found = ", ".join(f"{free.get(kind, 0):g} {kind}" for kind in ("CPU", "GPU"))
        message = (
            f"no node of the Ray cluster has started a worker yet; one takes {wanted}, free in the cluster are {found}"
        )
        if self._warned and now - self._alone_since >= START_S:
            raise InputError(f"{message}. Change cpus_per_worker or gpus_per_worker, or the cluster")
        self._say(message)
        self._warned = True


def _lost(ray: Any) -> tuple[type[Exception], ...]:
    """Return the exceptions for a lost worker, as opposed to failed work."""
    found = ray.exceptions
    return found.RayActorError, found.WorkerCrashedError, found.NodeDiedError, found.OutOfMemoryError
