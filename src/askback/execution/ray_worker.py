"""The actors of ray_tasks.py on the cluster: the workers, and the desk that they report to."""

import os
import time
from collections import Counter
from pathlib import Path
from socket import gethostname
from typing import Any

import askback
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.errors import AskbackError, InputError
from askback.execution import processes
from askback.execution.processes import A, B, Work

SEE_S = 10.0
"""Seconds within which a new file must be visible on another node; network file systems cache."""

STOP_S = 0.2
"""Seconds between two looks at the stop flag."""


class Desk:
    """An actor beside the run that collects the workers' reports, and holds the stop flag.

    Workers cannot be asked directly, as they work in their main thread, which signals need.
    """

    def __init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Reset for a new step."""
        self._records: Counter[int] = Counter()
        self._news: list[tuple[int, Tokens]] = []
        self._stopping = False

    def report(self, piece: int, records: int, tokens: Tokens) -> None:
        """Add a worker's report on a piece."""
        self._records[piece] += records
        self._news.append((records, tokens))

    def forget(self, piece: int) -> None:
        """Subtract the records of a piece that is redone; its tokens stay spent."""
        self._news.append((-self._records.pop(piece, 0), Tokens()))

    def news(self) -> list[tuple[int, Tokens]]:
        """Return the reports, pairs of records and tokens, since the last call."""
        news, self._news = self._news, []
        return news

    def stop(self) -> None:
        """Set the stop flag."""
        self._stopping = True

    def stopping(self) -> bool:
        """Return whether the user asked to stop."""
        return self._stopping


class Worker:
    """An actor on some node: does one piece after another, as a worker process does."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self._piece = -1
        self._context = WorkerContext(self._report, self._stopping)
        self._sent: list[Any] = []
        self._looked, self._stops = 0.0, False

    def begin(self, place: str, mark: str, log: str, threads: int, version: str) -> AskbackError | None:
        """Change to the folder `place` and prepare for a step; return an error if this node cannot be used."""
        node = f"node {gethostname()} of the Ray cluster"
        if askback.__version__ != version:
            return InputError(f"{node} has askback {askback.__version__}, not {version} as here; all need the same")
        try:
            os.chdir(place)
        except OSError:
            return InputError(f"{node} does not see {place}, where askback was started; start it in a shared folder")
        if not _seen(Path(mark)):
            return InputError(
                f"{node} does not see the run folder, {Path(mark).parent}; put it (resources.runs) on a file system that "
                "all nodes see under the same path"
            )
        self._context.folder = Path(log).parent
        self._looked, self._stops = 0.0, False
        processes.begin(log, threads)
        return None

    def close(self) -> None:
        """Release the model, and end the server that was started for it."""
        self._context.close()

    def work(self, number: int, work: Work[A, B], log: Path, piece: A) -> B | AskbackError:
        """Do a piece and return its result, or the error."""
        import ray

        self._piece = number
        try:
            return processes.answer(work, self._context, log, piece)
        except AskbackError as error:
            return error
        finally:
            ray.get(self._sent)  # reports arrive before the result
            self._sent.clear()

    def _report(self, records: int, tokens: Tokens) -> None:
        self._sent.append(self._desk.report.remote(self._piece, records, tokens))

    def _stopping(self) -> bool:
        """Return the desk's stop flag, which is asked for at most once in `STOP_S`: there is one desk for all requests."""
        import ray

        now = time.monotonic()
        if not self._stops and now - self._looked > STOP_S:
            self._looked = now
            self._stops = bool(ray.get(self._desk.stopping.remote()))
        return self._stops


def _seen(mark: Path) -> bool:
    deadline = time.monotonic() + SEE_S
    while not mark.exists():
        if time.monotonic() > deadline or not mark.parent.is_dir():
            return False
        list(mark.parent.iterdir())  # makes a network file system look again
        time.sleep(0.5)
    return True
