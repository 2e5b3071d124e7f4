"""The documents of a piece of a source in lots, one after the other under a clock (apart.py)."""

import mmap
import signal
import struct
import time
from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

from askback.corpus.readers import drawn, read_all
from askback.corpus.readers.encoding import clean
from askback.corpus.verdicts import Key, Verdicts
from askback.inputs.remote import File
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection

SECONDS = 10.0
"""Most CPU seconds to read on to the next document, and again to cut it."""
READING_SECONDS = {"pdf": 30.0, "warc": 60.0}
"""Where reading may take longer: pages of a PDF, and records of gigabytes that are no pages and are passed over."""
LOT, LOT_SECONDS = 256, 0.5
"""Documents, and CPU seconds, whose results are handed over together."""
NOTE = struct.Struct("qq?H")
NOTE_BYTES = 4096
"""What is done now: the fields of a `Key`, the length of a URI, and the URI."""


class Reading(NamedTuple):
    """What is to be read: a piece of a source, as `readers.pieces` gives it."""

    source: CorpusSource
    paths: list[File]
    options: Corpus
    random_seed: int = 0
    span: Any = None


class Place(NamedTuple):
    """How far a piece is done: the files before `path`, and `found` of what that one holds; `taken` were documents."""

    path: int = 0
    found: int = 0
    taken: int = 0


def seconds_for(kind: str, cutting: bool = False) -> float:
    """Return the most CPU seconds to read on in a format, or to cut a document."""
    return SECONDS if cutting else READING_SECONDS.get(kind, SECONDS)


def clock(seconds: float) -> None:
    """End the process after `seconds` of CPU time from now on; 0 lets it go on."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


class Documents:
    """The documents of a piece from a place on, in lots; while one is read or used, the clock runs."""

    def __init__(self, reading: Reading, verdicts: Verdicts, place: Place, note: mmap.mmap) -> None:
        self.place = place
        self.ended = False
        self._reading, self._verdicts, self._note = reading, verdicts, note
        self._next = place.path, place.found
        self._stream = drawn(reading.source, self._watched(), reading.random_seed, place.taken)

    def lot(self) -> Iterator[Document | Rejection]:
        """Yield some documents; behind them, `place` is where the next lot begins."""
        begun = time.process_time()
        taken = self.place.taken
        for _ in range(LOT):
            found = next(self._stream, None)
            if found is None:
                self.ended = True
                break
            taken += isinstance(found, Document)
            yield found
            if time.process_time() - begun > LOT_SECONDS:
                break
        self.place = Place(*self._next, taken)

    def _watched(self) -> Iterator[Document | Rejection]:
        reading, first, done = self._reading, self.place.path, self.place.found
        kind = reading.source.format
        for number in range(first, max(1, len(reading.paths))):
            paths = reading.paths[number : number + 1]
            name = clean(str(paths[0])) if paths else reading.source.path or reading.source.format
            stream = read_all(reading.source, paths, reading.options, reading.span)
            for at in count():
                if over := self._verdicts.get(Key(number, at, False)):
                    self._next = number + 1, 0
                    yield over
                    break
                self._watch(Key(number, at, False), name, seconds_for(kind))
                found = next(stream, None)
                if found is None:
                    break
                if number > first or at >= done:
                    self._next = number, at + 1
                    self._watch(Key(number, at, True), found.uri, seconds_for(kind, True))
                    yield self._verdicts.get(Key(number, at, True)) or found

    def _watch(self, key: Key, uri: str, seconds: float) -> None:
        """Note what is done next, for whoever finds the process gone, and set the clock."""
        data = uri.encode("utf-8", "replace")[: NOTE_BYTES - NOTE.size]
        self._note[: NOTE.size + len(data)] = NOTE.pack(*key, len(data)) + data
        clock(seconds)
