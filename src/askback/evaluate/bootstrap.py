"""Intervals of differences between two models measured on the same pairs."""

from collections.abc import Sequence
from typing import NamedTuple

from askback.records import Loss

RESAMPLES = 4000
"""The ends of a 95 % interval then stand on the 100 most extreme resamples each."""
DRAWN_AT_ONCE = 1_000_000
"""Indices, so that many pairs cost little memory; part of the result, as is the seed."""


class Interval(NamedTuple):
    """A difference and the interval around it."""

    difference: float
    low: float
    high: float


def loss_difference(before: Sequence[Loss], after: Sequence[Loss], confidence: float, seed: int) -> Interval:
    """Return how much greater the loss of `after` is than that of `before`, in nats per token, with its interval.

    The two are compared on the examples that both have, in any order, as a server may leave one without an answer. Loss
    per token is a ratio of sums, so the difference is the sum of the pairs' differences in nats over the sum of their
    tokens; pairs, not tokens, are drawn again with replacement, as the tokens of one answer hang together. A percentile
    bootstrap, `RESAMPLES` times, by `seed`. One pair alone gives no interval: it is infinite; so it is of none, whose
    difference is 0.
    """
    import numpy as np

    earlier, later = ({loss.example_id: loss for loss in losses} for losses in (before, after))
    ids = sorted(earlier.keys() & later.keys())
    if not ids:
        return Interval(0.0, -np.inf, np.inf)
    nats = np.array([later[id].nats - earlier[id].nats for id in ids])
    tokens = np.array([float(later[id].tokens) for id in ids])
    difference = float(nats.sum() / tokens.sum())
    if len(ids) == 1:
        return Interval(difference, -np.inf, np.inf)
    random = np.random.default_rng(seed)
    drawn = []
    rows = max(1, DRAWN_AT_ONCE // len(ids))
    for done in range(0, RESAMPLES, rows):
        picked = random.integers(len(ids), size=(min(rows, RESAMPLES - done), len(ids)))
        drawn.append(nats[picked].sum(axis=1) / tokens[picked].sum(axis=1))
    low, high = np.quantile(np.concatenate(drawn), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(difference, float(low), float(high))
