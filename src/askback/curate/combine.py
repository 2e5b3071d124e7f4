"""One score per candidate from the judgements of several scorers. Pure."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from askback.records import Judgement

Key = TypeVar("Key", bound=Hashable)


def combine(judgements: Iterable[Judgement], weights: Mapping[str, float]) -> dict[str, float | None]:
    """Return candidate id → score, None where a scorer that counts has none; candidates in the order they first appear.

    With one scorer that counts, its own score. With several, the weighted geometric mean of the candidate's mid-ranks,
    between 0 and 1: different scales (levels, nats) cannot be averaged, ranks can; and in a product a high rank of one
    scorer does not make up for a fault that another one sees (docs/decisions.md). The method has one scorer; this is ours.

    Args:
        weights: weight of each scorer that counts; {} gives all scorers the same.
    """
    given: dict[str, dict[str, float | None]] = {}
    ids: dict[str, None] = {}
    for judgement in judgements:
        given.setdefault(judgement.scorer, {})[judgement.candidate_id] = judgement.score
        ids[judgement.candidate_id] = None
    counting = {name: weight for name, weight in (weights or dict.fromkeys(given, 1.0)).items() if weight > 0}
    columns = {name: given.get(name, {}) for name in counting}
    if len(columns) == 1:
        (only,) = columns.values()
        return {id: only.get(id) for id in ids}
    ranks = {name: mid_ranks(scores) for name, scores in columns.items()}
    return {id: _geometric_mean([ranks[name].get(id) for name in counting], list(counting.values())) for id in ids}


def mid_ranks(scores: Mapping[Key, float | None]) -> dict[Key, float]:
    """Return the mid-rank of each score: the share of all scores below it, equal scores and itself counting half."""
    ordered = sorted(score for score in scores.values() if score is not None)
    return {
        id: (bisect_left(ordered, score) + bisect_right(ordered, score)) / (2 * len(ordered))
        for id, score in scores.items()
        if score is not None
    }


def _geometric_mean(values: list[float | None], weights: list[float]) -> float | None:
    present = [value for value in values if value is not None]
    if len(present) < len(values) or not values:
        return None
    return math.exp(
        sum(weight * math.log(value) for value, weight in zip(present, weights, strict=True)) / sum(weights)
    )
