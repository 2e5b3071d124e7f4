"""Documents are read and cut in a process apart: one that takes too much time or memory ends that process alone.

What a parser does with a stranger's document cannot be foreseen. Bounds on bytes, tags and expansions catch what is known
(bounds.py); here is what catches the rest: a clock in CPU seconds for each document, and a limit on the memory of the
process. It is forked, so that it begins with all that is loaded here, and its end costs no more than the lot in hand.
"""

import ctypes
import gc
import mmap
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

from askback.corpus.cut import cut
from askback.corpus.readers import read_all, reader
from askback.corpus.verdicts import Key, Verdicts
from askback.corpus.watched import NOTE, NOTE_BYTES, Documents, Place, Reading, clock, seconds_for
from askback.errors import AskbackError, WorkerDied
from askback.records import Document, Rejection

T = TypeVar("T")

MEMORY = 2**30
"""Bytes that the process may take above what it begins a piece with (Linux)."""
_FULL = 77
"""Exit code of a process that ran out of memory."""
_PROSE = "Baking bread\n============\n\n" + " ".join(
    f"The {which} loaf of the day is mixed from flour, water and {what}, rests until it has doubled, and is baked dark."
    for which, what in (("first", "salt"), ("next", "rye"), ("third", "seeds"), ("small", "honey"), ("last", "oats"))
)


_Request: TypeAlias = tuple[Reading, Callable[[Iterator[Document | Rejection]], Any], Verdicts, Place]


def read_apart(
    reading: Reading,
    use: Callable[[Iterator[Document | Rejection]], T],
    kept: Path | None = None,
    idle: list[Any] | None = None,
) -> Iterator[T]:
    """Yield what ``use(documents)`` makes of consecutive lots of a piece's documents, in their order.

    `use` runs in the process apart and takes all that it is given. A document that ends the process comes again as a
    failure, "over-time", "over-memory" or "crashed", and those behind it follow. If it was on the way to the next
    document of a file that holds many, the rest of the file is that failure.

    Args:
        kept: a file for these verdicts; what it holds is not tried again.
        idle: where the process stays, with what it has learnt to do quickly, for the next piece; `use` can be pickled.

    Raises:
        AskbackError: as reading raises it.
        WorkerDied: the process was killed from outside.
    """
    verdicts = Verdicts(kept)
    place = Place()
    while True:
        child: _Child = idle.pop() if idle else _Child()
        try:
            for reached, result in child.lots((reading, use, verdicts, place)):
                place = reached
                yield result
        finally:
            if idle is not None and child.finished:
                idle.append(child)
            else:
                child.end()
        if child.finished:
            return
        verdicts.add(*_verdict(child.note, child.status, reading.source.format))


def _warm(reading: Reading) -> None:
    """Load once, before the fork, what every process would load for itself at the expense of its first document."""
    kind = reading.source.format
    if kind == "parquet":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
        import pyarrow.parquet

        pyarrow.array([""])  # an allocator other than the system's sets a GB aside now, or it would count
    read_all(reading.source, [], reading.options)
    cut([Document("", _PROSE, reader(kind).markup, kind, "Bread", "")], reading.options)


class _Child:
    """The process, seen from here; it is there from the first request on."""

    def __init__(self) -> None:
        self.note = mmap.mmap(-1, NOTE_BYTES)
        self.finished = False
        self.status = 0
        self._pipe, self._end = Pipe()
        self._id = 0

    def lots(self, request: _Request) -> Iterator[tuple[Place, Any]]:
        """Yield results, each with the place up to which it reaches, until the request is done or the process gone."""
        self.finished = False
        self._ask(request)
        while not self.finished:
            try:
                place, result, error = self._pipe.recv()
            except (EOFError, OSError):
                return
            if error is not None:
                raise error
            if place is None:
                self.finished = True
            else:
                yield place, result

    def _ask(self, request: _Request) -> None:
        if self._id:
            self._pipe.send(request)
            return
        _warm(request[0])
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # other threads may hold locks; none of them is used
            self._id = os.fork()
        if not self._id:
            self._pipe.close()
            _serve(self._end, parent, request, self.note)
        self._end.close()

    def end(self) -> None:
        """End the process, whatever it is doing, and keep its exit code in `status`."""
        self._pipe.close()
        if self._id:
            os.kill(self._id, signal.SIGKILL)  # nothing to one that went by itself
            self.status = os.waitstatus_to_exitcode(os.waitpid(self._id, 0)[1])


def _verdict(note: mmap.mmap, status: int, kind: str) -> tuple[Key, str, str, str]:
    path, found, cutting, size = NOTE.unpack_from(note)
    uri = note[NOTE.size : NOTE.size + size].decode("utf-8", "replace")
    key = Key(path, found, cutting)
    doing = "cutting it" if cutting else "reading it" if not found else f"reading on behind {found} of its documents"
    if status == -signal.SIGPROF:
        limit = seconds_for(kind, cutting)
        return key, "over-time", uri, f"{doing} took more than {limit:.0f} CPU seconds, the most allowed"
    if status == _FULL:
        return key, "over-memory", uri, f"{doing} took more than {MEMORY // 2**20} MB, the most allowed"
    if status in (-signal.SIGKILL, -signal.SIGTERM):
        raise WorkerDied(
            f"the process that reads documents was killed at {uri} (by the system, out of memory, perhaps). Run the same "
            "command again to go on; fewer workers need less memory."
        )
    return key, "crashed", uri, f"{doing} ended the process (exit code {status})"


def _serve(pipe: Any, parent: int, request: _Request, note: mmap.mmap) -> NoReturn:
    """In the process: do one request after the other, lot after lot."""
    code = 1
    try:
        _prepare(parent)
        while True:
            _limit_memory()
            reading, use, verdicts, place = request
            documents = Documents(reading, verdicts, place, note)
            while not documents.ended:
                result = use(documents.lot())
                clock(0)
                pipe.send((documents.place, result, None))
            pipe.send((None, None, None))
            request = pipe.recv()
    except EOFError:
        code = 0
    except MemoryError:
        code = _FULL
    except AskbackError as error:
        clock(0)
        pipe.send((None, None, error))
    except Exception as error:  # noqa: BLE001  it is raised again where the process is seen from
        clock(0)
        error.add_note(traceback.format_exc())
        pipe.send((None, None, error))
    finally:
        os._exit(code)


def _prepare(parent: int) -> None:
    """Take no part in what the process that this was forked from has to do, and end with it."""
    gc.freeze()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGPROF,))
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _limit_memory() -> None:
    """Allow `MEMORY` bytes more than the process holds now: what stays from one piece to the next is not the next one's."""
    if sys.platform == "linux":
        most = int(Path("/proc/self/statm").read_text("ascii").split()[5]) * mmap.PAGESIZE + MEMORY
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
