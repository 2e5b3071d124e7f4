"""Intervals of differences between two ways to train, each repeated with several random seeds, on the same pairs."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from askback.evaluate.difference import loss_difference, student_t
from askback.records import Loss

if TYPE_CHECKING:
    import numpy as np

POWER = 0.8
"""Probability with which a difference as large as `Repeated.detectable` is told apart."""


class Repeated(NamedTuple):
    """A difference, the interval around it, in nats per token, and what they rest on.

    `between_trainings` is the standard deviation of the difference between trainings with other seeds, None of one training
    each; then the interval holds the sampling of pairs alone. `detectable` is the difference that is told apart from 0 with
    probability `POWER`; infinite of a single pair.
    """

    difference: float
    low: float
    high: float
    trainings: int
    pairs: int
    between_trainings: float | None
    detectable: float


def repeated_difference(
    before: Sequence[Sequence[Loss]], after: Sequence[Sequence[Loss]], confidence: float
) -> Repeated:
    """Return the mean over trainings of the loss of `after` minus that of `before`, with its confidence interval.

    The n-th of either was trained with the n-th random seed. Trainings and pairs are two crossed samples: a jackknife over
    the pairs (`loss_difference`) gives a pseudo-value for each training and pair, and an analysis of variance of their
    table the variances of trainings, pairs and both together. The variance of the mean is the sum of the first two less
    the third, which each of them holds, and never below the larger of the two. The interval is Student's, with
    Satterthwaite's degrees of freedom; where trainings differ most, these are near the number of trainings less one.

    In simulations (tests/evaluate/test_repeated.py) an interval of 95 % covers 92 to 98 % with 3, 5 and 10 trainings and
    14, 60 and 200 pairs, whichever of the two varies more, and 88 to 98 % with 2 trainings.
    """
    import numpy as np

    trainings = len(before)
    assert trainings == len(after) > 0, "each training is compared with one of the same seed"
    tables = [{loss.example_id: loss for loss in losses} for losses in (*before, *after)]
    ids = sorted(set.intersection(*(set(table) for table in tables)))
    if trainings == 1 or len(ids) < 2:
        found = loss_difference(before[0], after[0], confidence)
        error = (found.high - found.difference) / student_t((1 + confidence) / 2, max(1, len(ids) - 1))
        reach = found.high - found.difference + error * _beyond(len(ids) - 1)
        return Repeated(*found, 1, len(ids), None, reach)
    nats = np.array([[tables[trainings + s][id].nats - tables[s][id].nats for id in ids] for s in range(trainings)])
    tokens = np.array([float(tables[0][id].tokens) for id in ids])
    share, differences = tokens / tokens.sum(), nats.sum(1) / tokens.sum()
    without = (np.outer(differences, tokens) - nats) / tokens.sum() / (1 - share)  # the change if a pair is left out
    values = differences[:, None] - (len(ids) - 1) * (without - without.mean(1, keepdims=True))
    effective = max(1.0, 1 / float((share**2).sum()) - 1)
    error, degrees = _error(values, effective)
    difference, reach = float(differences.mean()), error * student_t((1 + confidence) / 2, degrees)
    spread = float(differences.std(ddof=1))
    detectable = reach + error * _beyond(degrees)
    return Repeated(difference, difference - reach, difference + reach, trainings, len(ids), spread, detectable)


def _beyond(degrees: float) -> float:
    """Return the number of standard errors beyond the interval's reach at which the power is `POWER`."""
    return student_t(POWER, max(1.0, degrees))


def _error(values: "np.ndarray", effective: float) -> tuple[float, float]:
    """Return the standard error of the mean of a table of trainings and pairs, and its degrees of freedom."""
    trainings, pairs = values.shape
    rows, columns = values.mean(1), values.mean(0)
    inner = values - rows[:, None] - columns[None, :] + values.mean()
    squares = (
        (float(rows.var(ddof=1)) / trainings, trainings - 1.0),
        (float(columns.var(ddof=1)) / pairs, effective),
        (-float((inner**2).sum()) / ((trainings - 1) * (pairs - 1) * values.size), (trainings - 1) * effective),
    )
    total = sum(square for square, _ in squares)
    largest = max(squares[0], squares[1])
    if total <= largest[0]:
        return math.sqrt(largest[0]), largest[1]
    return math.sqrt(total), max(1.0, total**2 / sum(square**2 / degrees for square, degrees in squares))
