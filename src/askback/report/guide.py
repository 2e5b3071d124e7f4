"""A demo on a terminal: what is being done in a newcomer's words, pairs as they are written, and what came of it."""

import time
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel

from askback.execution.progress import Bar, Progress
from askback.execution.shards import read_records
from askback.methods import names
from askback.records import Candidate
from askback.report.plain import shown
from askback.studies import summary

TOGETHER = 3
"""Pairs that are shown of each piece of work."""
SHOWN_CHARS = 240
"""Characters of a text that are shown beside its question."""


class Guide(Progress):
    """The progress of a demo: each phase with the time it begins, and pairs as soon as they are on disk."""

    def __init__(self, console: Console) -> None:
        super().__init__(quiet=True)
        self._console = console
        self._began = time.monotonic()
        self._phase = ""
        self.first_pair: float | None = None
        """Seconds until the first pair was shown."""

    def made(self, step: str, words: str) -> None:
        """Say nothing: what became of the records is in the report."""

    def bar(self, name: str, total: int | None, done: int = 0, unit: str = "records") -> Bar:
        """Return the progress of one step; the first step of a phase says what is done in it."""
        if (phase := names.in_words(name)) != self._phase:
            self._phase = phase
            self.say(f"{self._clock()}  {phase[0].upper()}{phase[1:]} …")
        return super().bar(f"      {phase}", total, done, unit)

    def wrote(self, step: str, path: Path) -> None:
        """Show the first pairs of a piece of the candidates."""
        if step != names.CANDIDATES or self._console is None:
            return
        pairs: list[Candidate] = list(read_records(path))
        for pair in pairs[:TOGETHER]:
            if self.first_pair is None:
                self.first_pair = time.monotonic() - self._began
            text = f"[bold]{shown(pair.instruction)}[/bold]\n[dim]{shown(beginning(pair.output))}[/dim]"
            self._console.print(Padding(text, (1, 0, 0, 2)))
        if len(pairs) > TOGETHER:
            self._console.print(f"\n  … and {len(pairs) - TOGETHER} more", highlight=False)

    def _clock(self) -> str:
        seconds = round(time.monotonic() - self._began)
        return f"{seconds // 60}:{seconds % 60:02d}"


def beginning(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[:SHOWN_CHARS].rpartition(' ')[0]} …"


def show_best(folder: Path, console: Console, count: int = 3) -> None:
    """Print the best-scored chosen pairs, each with the beginning of its text and its source."""
    for pair in summary.best(folder, count):
        source = f"{pair.provenance.uri} · {pair.provenance.licence or 'licence not stated'}"
        text = f"[bold]{shown(pair.instruction)}[/bold]\n\n{shown(beginning(pair.output))}"
        console.print(Panel(text, subtitle=shown(source), subtitle_align="left"))
