"""Tokens that engines of this process have read and written; each engine counts, as it alone knows."""

import threading
from typing import NamedTuple


class Tokens(NamedTuple):
    """Tokens by what was done with them: read as a prompt, written as an answer, trained on."""

    prompt: int = 0
    output: int = 0
    train: int = 0


_lock = threading.Lock()
_total = _taken = Tokens()


def count(prompt: int = 0, output: int = 0) -> None:
    """Say that so many more tokens were read and written.

    Prompts count whole, also where an engine reads once what they share: so the same recipe has the same number of tokens
    in every engine. A server's own figures are taken where it tells them, as it is they that are paid.
    """
    global _total
    with _lock:
        _total = Tokens(_total.prompt + prompt, _total.output + output)


def total() -> Tokens:
    """Return what this process has counted."""
    return _total


def take() -> Tokens:
    """Return what was counted since the last call."""
    global _taken
    before, _taken = _taken, _total
    return Tokens(_taken.prompt - before.prompt, _taken.output - before.output)
