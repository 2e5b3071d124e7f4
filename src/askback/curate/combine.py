"""One score per candidate from the judgements of several scorers. Pure."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from askback.records import Judgement

Floats = NDArray[np.float64]
"""A number for each candidate, by its place; NaN where there is none."""


def combine(judgements: Iterable[Judgement], weights: Mapping[str, float]) -> dict[str, float | None]:
    """Return candidate id → `combined` score, None where there is none; candidates in the order they first appear."""
    given: dict[str, dict[str, float | None]] = {}
    ids: dict[str, None] = {}
    for judgement in judgements:
        given.setdefault(judgement.scorer, {})[judgement.candidate_id] = judgement.score
        ids[judgement.candidate_id] = None
    columns = {name: np.array([*map(scores.get, ids)], float) for name, scores in given.items()}
    found = combined(columns, weights, len(ids)).tolist()
    return {id: None if math.isnan(score) else score for id, score in zip(ids, found, strict=True)}


def combined(columns: Mapping[str, Floats], weights: Mapping[str, float], count: int) -> Floats:
    """Return the score of each of `count` candidates, NaN where a scorer that counts has none.

    With one scorer that counts, its own score. With several, the weighted geometric mean of the candidate's mid-ranks,
    between 0 and 1: different scales (levels, nats) cannot be averaged, ranks can; and in a product a high rank of one
    scorer does not make up for a fault that another one sees (docs/decisions.md). The method has one scorer; this is ours.

    Args:
        columns: scorer → its scores.
        weights: weight of each scorer that counts; {} gives all scorers the same.
    """
    counting = {name: weight for name, weight in (weights or dict.fromkeys(columns, 1.0)).items() if weight > 0}
    used = [columns.get(name, np.full(count, np.nan)) for name in counting]
    if len(used) == 1:
        return used[0]
    # With Python's logarithm, as numpy's differs from machine to machine in the last bits.
    ranks = zip(*(map(float, mid_ranks(column)) for column in used), strict=True)
    return np.fromiter((_geometric_mean(one, list(counting.values())) for one in ranks), float, count)


def mid_ranks(scores: ArrayLike) -> Floats:
    """Return the mid-rank of each score: the share of all scores below it, equal scores and itself counting half."""
    values = np.asarray(scores, float)
    missing = np.isnan(values)
    return np.where(missing, np.nan, places(values) / (2 * max(1, len(values) - int(np.count_nonzero(missing)))))


def places(values: Floats) -> NDArray[np.int64]:
    """Return the number of values below each, plus the number of those that are not above it."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: NDArray[np.int64] = (2 * np.cumsum(counts) - counts)[which]
    return found


def _geometric_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return math.exp(sum(weight * math.log(value) for value, weight in zip(values, weights, strict=True)) / sum(weights))
