"""The count of tokens that the engines of a process read and write; each engine counts its own."""

import threading
from typing import NamedTuple


class Tokens(NamedTuple):
    """Numbers of tokens: read as prompts, written as answers, trained on."""

    prompt: int = 0
    output: int = 0
    train: int = 0


class Usage:
    """A count of tokens. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.total = self._taken = Tokens()

    def count(self, prompt: int = 0, output: int = 0) -> None:
        """Add tokens that were read and written.

        Prompts count whole, also where an engine reads their common prefix once: so a recipe has the same number of tokens
        in every engine. A server's own figures are taken where it reports them, as they are what is paid.
        """
        with self._lock:
            self.total = Tokens(self.total.prompt + prompt, self.total.output + output)

    def take(self) -> Tokens:
        """Return the tokens counted since the last call."""
        with self._lock:
            before, self._taken = self._taken, self.total
            return Tokens(self._taken.prompt - before.prompt, self._taken.output - before.output)
