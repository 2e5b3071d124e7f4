"""How far a server's probabilities depend on the order in which prompts are asked.

vLLM is reported to give others where it caches prefixes (its issue 42019), and any server may reckon otherwise in another
batch. What is chosen by such probabilities would not be chosen again.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from askback.engines.protocol import Engine, why_none
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.prompts.prompt import ask

LEVELS = tuple(f" {level}" for level in range(1, 6))
COMMON = "A gardener notes for each tree what it bore this year, and how sweet that was on a scale from 1 to 5. " * 6
"""A beginning of more than 128 tokens, the largest block of a prefix cache, and not many more: a CPU reads slowly."""
TREES = ("pear", "plum", "quince", "cherry")
NATS = 0.25
"""The bound in nats a token, as a share of that on an expected level: 5e-3 where that is 0.02."""


class Shift(NamedTuple):
    """Largest differences between two orders: of an expected level from 1 to 5, and of the mean log-probability of a
    token of an answer, in nats. None where a server does not tell."""

    level: float | None
    nats: float | None

    def __str__(self) -> str:
        parts = [
            f"{value:.1g} {unit}"
            for value, unit in ((self.level, "of a level from 1 to 5"), (self.nats, "nats a token"))
            if value is not None
        ]
        return " and ".join(parts)


def check_order(engine: Engine, worker: WorkerContext, most: float, name: str) -> str:
    """Ask four short prompts in two orders; return in words how far the answers differ, "" where no call tells.

    Args:
        worker: that of the engine; its cached answers are neither used nor added to.
        most: bound on the difference of an expected level, as in `EngineOptions.max_order_shift`.
        name: of the server, for the message.

    Raises:
        InputError: the answers differ by more.
    """
    shift = order_shift(engine, worker)
    if (shift.level or 0.0) > most or (shift.nats or 0.0) > NATS * most:
        raise InputError(
            f"{name}: scores depend on the order in which pairs are asked about: they differ by {shift}, and {most:g} of a "
            f"level and {NATS * most:g} nats a token are allowed. Give a vLLM dtype float32, or the argument "
            "--no-enable-prefix-caching; or, if choices may be left to chance so far, a larger max_order_shift"
        )
    return f"in another order its answers differ by {shift}" if str(shift) else ""


def order_shift(engine: Engine, worker: WorkerContext) -> Shift:
    """Return how far answers to four prompts with a common beginning differ when these are asked in reverse order."""
    prompts = [ask(f"{COMMON}What does the note on the {tree} say?") for tree in TREES]
    answers = [f" {1 + at % 5}: the {tree} was {'very ' * at}sweet." for at, tree in enumerate(TREES)]

    def levels(order: Sequence[int]) -> list[float | None]:
        return [_expected(row) for row in engine.choose([prompts[at] for at in order], LEVELS)]

    def nats(order: Sequence[int]) -> list[float | None]:
        found = engine.loglikelihood([prompts[at] for at in order], [answers[at] for at in order])
        return [one.logprob / one.tokens if math.isfinite(one.logprob) else None for one in found]

    return Shift(
        _apart(levels, worker) if "choose" in engine.calls else None,
        _apart(nats, worker) if "loglikelihood" in engine.calls else None,
    )


def _apart(asked: Callable[[Sequence[int]], list[float | None]], worker: WorkerContext) -> float | None:
    there = list(range(len(TREES)))
    found = []
    for order in (there, there[::-1]):
        with worker.keeping(None):
            found.append(asked(order))
    both = zip(found[0], reversed(found[1]), strict=True)
    return max((abs(one - other) for one, other in both if one is not None and other is not None), default=None)


def _expected(row: Sequence[float]) -> float | None:
    if why_none(row):
        return None
    shares = [math.exp(value) for value in row]
    return sum(level * share for level, share in enumerate(shares, 1)) / sum(shares)
