"""Tokens that engines of this process have read and written; each engine counts, as it alone knows."""

import threading
from typing import NamedTuple


class Tokens(NamedTuple):
    """Tokens by what was done with them: read as a prompt, written as an answer, trained on."""

    prompt: int = 0
    output: int = 0
    train: int = 0


_lock = threading.Lock()
_counted = Tokens()


def count(prompt: int = 0, output: int = 0) -> None:
    """Say that so many more tokens were read and written.

    Prompts count whole, also where an engine reads once what they share: so the same recipe has the same number of tokens
    in every engine. A server's own figures are taken where it tells them, as it is they that are paid.
    """
    global _counted
    with _lock:
        _counted = Tokens(_counted.prompt + prompt, _counted.output + output)


def take() -> Tokens:
    """Return what was counted since the last call."""
    global _counted
    with _lock:
        taken, _counted = _counted, Tokens()
    return taken
