"""The number of requests in flight: it grows while that pays, and falls when the server is overloaded."""

import threading
import time
from collections.abc import Callable

from askback.errors import Interrupted

STOPPED = "stopped between two requests"
START, USUAL = 4, 32
"""Requests in flight at first, and at most where nothing else is given."""
PUSHED_BACK, LATE = 0.5, 0.75
"""Factors on the bound after a 429, and when a longer latency brings no higher rate."""
WORSE = 0.7
"""Share of the best rate so far below which a rate means an overloaded server."""
FORGET = 0.98
"""Factor on the best rate in each window, so that a server may become slower for good."""


class Concurrency:
    """A bound on requests in flight that adapts between 1 and `most`.

    For every full window of successes it doubles, and after the first sign of overload is one more; half after a 429, once
    for all requests of the same burst; three quarters when latency has grown so much that requests per second (in flight /
    latency, Little's law) fell. Latency alone would be a poor sign: a batching server is slower per request, and faster in
    all, the more it is given.
    """

    def __init__(
        self,
        most: int,
        start: int = START,
        clock: Callable[[], float] = time.monotonic,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.limit = float(min(most, start))
        self._most, self._clock, self._stopping = most, clock, stopping
        self._free = threading.Condition()
        self._flying = 0
        self._resume = self._shrunk = clock() - 1
        self._window: list[tuple[float, int]] = []
        self._best = 0.0
        self._overloaded = False
        """Whether the server was, ever; until then its bound is not known to be near."""

    def enter(self) -> tuple[float, int]:
        """Wait until a request may be sent; return (time, requests in flight), to be passed to `leave`.

        Raises:
            Interrupted: the run is to stop meanwhile.
        """
        with self._free:
            while self._flying >= int(self.limit) or self._clock() < self._resume:
                if self._stopping():
                    raise Interrupted(STOPPED)
                self._free.wait(min(1.0, max(0.01, self._resume - self._clock())))
            self._flying += 1
            return self._clock(), self._flying

    def leave(self, entered: tuple[float, int], answered: bool) -> None:
        """Note the end of a request; answers let the bound grow."""
        with self._free:
            self._flying -= 1
            if answered:
                self._window.append((self._clock() - entered[0], entered[1]))
                if len(self._window) >= int(self.limit):
                    self._adapt()
            self._free.notify_all()

    def push_back(self, entered: tuple[float, int], wait: float) -> None:
        """Note a 429, or a 503 with Retry-After: nothing is sent for `wait` seconds, and fewer requests after that."""
        with self._free:
            self._resume = max(self._resume, self._clock() + wait)
            if entered[0] > self._shrunk:
                self._best *= PUSHED_BACK  # fewer requests answered at once are no sign of overload
                self._change(self.limit * PUSHED_BACK)

    def _adapt(self) -> None:
        rate = sum(flying for _, flying in self._window) / max(1e-9, sum(seconds for seconds, _ in self._window))
        if rate < WORSE * self._best and self.limit > 1:
            self._best = rate
            self._change(self.limit * LATE)
        else:
            self._best = max(self._best * FORGET, rate)
            self.limit = min(float(self._most), self.limit + 1 if self._overloaded else 2 * self.limit)
        self._window.clear()

    def _change(self, limit: float) -> None:
        self.limit, self._overloaded = max(1.0, limit), True
        self._shrunk = self._clock()
        self._window.clear()
