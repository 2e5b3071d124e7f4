"""Progress on stderr: a live line with rate and time left on a terminal, elsewhere a plain line every few seconds."""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from askback.recipe.variables import hide

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_SECONDS = 10.0
"""Seconds between plain lines."""


class Bar:
    """The progress of one step: ``add(records, tokens)`` as they come."""

    def __init__(self, name: str, total: int | None, done: int, unit: str, console: "Console | None") -> None:
        self.name, self.total, self.unit = name, total, unit
        self.done, self.tokens = done, 0
        self._console = console
        self._live: Any = None
        self._task: Any = None
        self._spoken = time.monotonic()
        self._first: tuple[float, int, int] | None = None
        """Time of the first report, with records and tokens then: rates leave out the time of loading a model."""

    def __enter__(self) -> "Bar":
        if self._console is not None and self._console.is_terminal:
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

            self._live = Progress(
                SpinnerColumn(),
                TextColumn("{task.description:<10}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[status]}"),
                console=self._console,
                transient=True,
            )
            self._task = self._live.add_task(self.name, total=self.total, completed=self.done, status=self.status())
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def add(self, records: int, tokens: int = 0) -> None:
        """Count `records` more as done, and their tokens."""
        self.done += records
        self.tokens += tokens
        now = time.monotonic()
        self._first = self._first or (now, self.done, self.tokens)
        if self._live is not None:
            self._live.update(self._task, completed=self.done, status=self.status())
        elif self._console is not None and now - self._spoken >= PLAIN_SECONDS:
            self._spoken = now
            self._console.print(f"{self.name}: {self.status()}", highlight=False)

    def status(self) -> str:
        """Return the progress in words: done of total, rates, time left."""
        words = [f"{self.done:,}" + (f"/{self.total:,}" if self.total is not None else "") + f" {self.unit}"]
        then, done, tokens = self._first or (time.monotonic(), self.done, self.tokens)
        seconds = max(1e-9, time.monotonic() - then)
        if self.done == done:
            return words[0]
        rate = (self.done - done) / seconds
        words.append(f"{rate:,.1f}/s" if rate >= 1 else f"{1 / rate:,.1f} s each")
        if self.tokens > tokens:
            words.append(f"{(self.tokens - tokens) / seconds:,.0f} tokens/s")
        if self.total is not None and self.done < self.total:
            words.append(f"{duration((self.total - self.done) / rate)} left")
        return " · ".join(words)


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True)


class Progress:
    """The output of progress. ``Progress(quiet=True)`` prints nothing (tests, Python callers)."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = None if quiet else _console()

    def say(self, line: str) -> None:
        """Print one line."""
        if self._console is not None:
            self._console.print(hide(line), highlight=False, markup=False)
            sys.stderr.flush()

    def made(self, step: str, words: str) -> None:
        """Say that a step is done, and what became of its records."""
        self.say(f"{step}: {words}")

    def wrote(self, step: str, path: Path) -> None:
        """Called when a piece of a step's records is on disk, in `path`."""

    def bar(self, name: str, total: int | None, done: int = 0, unit: str = "records") -> Bar:
        """Return the progress of one step, to be used in a `with`."""
        return Bar(name, total, done, unit, self._console)


def duration(seconds: float) -> str:
    """Return a number of seconds in words: 41 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
