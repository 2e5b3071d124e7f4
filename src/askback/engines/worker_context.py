"""The context of a worker process that a piece of work gets; no module holds any of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askback import owned
from askback.engines import kind_of
from askback.engines.protocol import Engine
from askback.engines.response_cache import Answers
from askback.engines.usage import Tokens, Usage
from askback.lookup import load

if TYPE_CHECKING:
    from askback.recipe import EngineOptions

REPORT_SECONDS = 0.5
"""Time between two reports of tokens within a piece of work."""


class WorkerContext:
    """A worker's reports, stop flag, token count, cached answers, and its one loaded model.

    Args:
        send: takes each report: the number of records done since the last one, and their tokens.
        stopping: returns whether the run is asked to stop, by the user or a limit, for work that loses nothing by it.
    """

    def __init__(
        self,
        send: Callable[[int, Tokens], object] = lambda records, tokens: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._send = send
        self.stopping = stopping
        self.usage = Usage()
        self.answers = Answers()
        self.folder = Path()
        """The folder of the step whose pieces it does."""
        self.held = ExitStack()
        """What its model holds open, closed with it."""
        self.idle: list[Any] = []
        """Child processes that are kept for the next piece (corpus/apart.py)."""
        self._reported = 0.0
        self._asked: Any = None
        self._engine: Engine | None = None

    def report(self, records: int, trained: int = 0) -> None:
        """Report `records` more as done, with the tokens trained on and those of engines since the last report."""
        self._send(records, self.usage.take()._replace(train=trained))

    def report_tokens(self) -> None:
        """Report the tokens of engines since the last report, at most once in `REPORT_SECONDS`. Thread-safe."""
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            self.report(0)

    def engine(self, options: "EngineOptions", model: str, chat_template: str = "") -> Engine:
        """Return the engine of `options.kind` with `model` (a folder) loaded; a process holds one model, loaded once.

        Raises:
            RecipeError: there is no such engine.
            InputError: the model folder is unusable.
            MissingExtra: a package that the engine needs is not installed.
        """
        if self._engine is None or self._asked != (options, model, chat_template):
            self.close()
            opens: Any = load(kind_of(options.kind).opens)
            self._engine, self._asked = opens(model, options, chat_template, self), (options, model, chat_template)
        assert self._engine is not None
        return self._engine

    def close(self) -> None:
        """Release the model."""
        self._engine = None
        self.held.close()

    @contextmanager
    def keeping(self, path: Path | None, earlier: Path | None = None) -> Iterator[None]:
        """Cache the answers that engines get in the `with` block in `path`; leaving without an error deletes the file.

        Without a path they are cached in memory. Those in the file `earlier` are known too.
        """
        with self.answering(Answers(path, earlier)):
            yield
            if path is not None:
                owned.remove(path)

    @contextmanager
    def answering(self, answers: Answers) -> Iterator[Answers]:
        """Have engines take answers from these, and add theirs, in the `with` block."""
        before, self.answers = self.answers, answers
        try:
            yield answers
        finally:
            answers.close()
            self.answers = before
