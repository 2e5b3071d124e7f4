"""Tokens that the engines of a process have read and written; each engine counts, as it alone knows."""

import threading
from typing import NamedTuple


class Tokens(NamedTuple):
    """Tokens by what was done with them: read as a prompt, written as an answer, trained on."""

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

        Prompts count whole, also where an engine reads once what they share: so the same recipe has the same number of
        tokens in every engine. A server's own figures are taken where it gives them, as it is they that are paid.
        """
        with self._lock:
            self.total = Tokens(self.total.prompt + prompt, self.total.output + output)

    def take(self) -> Tokens:
        """Return what was counted since the last call."""
        before, self._taken = self._taken, self.total
        return Tokens(self._taken.prompt - before.prompt, self._taken.output - before.output)
