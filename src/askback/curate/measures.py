"""The statistics that a judge is measured by: AUROC, its interval, Wilson's interval, Kendall's tau, where ties count half;
and those of how far people agree: Cohen's kappa, Krippendorff's alpha."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from random import Random
from statistics import NormalDist
from typing import Any

Z95 = NormalDist().inv_cdf(0.975)
"""Half of a normal 95 % interval, in standard errors."""
RESAMPLES = 1000
FEWEST = 5
"""Smallest number of pairs for an interval: resamples of fewer are too similar to each other."""


def auroc(good: Sequence[float], bad: Sequence[float]) -> float:
    """Return the probability that a good score is above a bad one: Mann-Whitney's U divided by the number of pairs."""
    ordered = sorted(bad)
    below = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in good)
    return below / (2 * len(good) * len(bad))


PARTS = 5
"""Number of parts, from the shortest to the longest, within which lengths count as equal."""


def auroc_at_equal_length(scores: Sequence[float], good: Sequence[bool], lengths: Sequence[float]) -> float | None:
    """Return the AUROC over pairs of a good and a bad score of the same fifth of length; None without any.

    Two scores of different fifths are not compared, so a score that knows nothing but the length is near 0.5.
    """
    won, compared = 0.0, 0
    order = sorted(range(len(scores)), key=lambda at: (lengths[at], at))
    for part in range(PARTS):
        places = order[part * len(order) // PARTS : (part + 1) * len(order) // PARTS]
        goods, bads = ([scores[at] for at in places if good[at] == side] for side in (True, False))
        if goods and bads:
            pairs = len(goods) * len(bads)
            won, compared = won + auroc(goods, bads) * pairs, compared + pairs
    return won / compared if compared else None


def separation(
    good: Mapping[str, float], bad: Mapping[str, Mapping[str, float]], random_seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Return kind → (AUROC, low, high) of each kind of bad scores, and their mean as "mean".

    `good` and each of `bad` are pair id → score; a pair may be on one side alone. The interval is the middle 95 % over
    1,000 bootstrap resamples of the pairs, each drawn with all its versions, as these are similar; so it holds for the
    mean too. With fewer than `FEWEST` pairs on either side it is 0 to 1.
    """
    import numpy as np

    ids = sorted({*good, *(id for scores in bad.values() for id in scores)})
    random = Random(random_seed)
    drawn = [np.bincount(random.choices(range(len(ids)), k=len(ids)), minlength=len(ids)) for _ in range(RESAMPLES)]
    places, sides = {id: at for at, id in enumerate(ids)}, list(good.values())
    found = {
        kind: (auroc(sides, list(scores.values())), _resampled(places, good, scores, np.array(drawn)))
        for kind, scores in bad.items()
    }
    sizes = {kind: min(len(good), len(scores)) for kind, scores in bad.items()}
    found["mean"] = tuple(sum(one) / len(bad) for one in zip(*found.values(), strict=True))
    sizes["mean"] = max(sizes.values())
    return {
        kind: (value, *(_middle(values) if sizes[kind] >= FEWEST else (0.0, 1.0)))
        for kind, (value, values) in found.items()
    }


def _resampled(places: Mapping[str, int], good: Mapping[str, float], bad: Mapping[str, float], drawn: Any) -> Any:
    """Return the AUROC of each resample, 0.5 where a side of it is empty. Row by row, `drawn` counts each id."""
    import numpy as np

    scores, is_good = np.array([*good.values(), *bad.values()]), np.arange(len(good) + len(bad)) < len(good)
    order = np.argsort(scores, kind="stable")
    counts = drawn[:, [places[id] for id in (*good, *bad)]][:, order]
    tied = np.flatnonzero(np.diff(scores[order], prepend=-math.inf))
    goods, bads = (np.add.reduceat(counts * side[order], tied, axis=1) for side in (is_good, ~is_good))
    won, pairs = (goods * (bads.cumsum(1) - bads / 2)).sum(1), goods.sum(1) * bads.sum(1)
    return np.where(pairs > 0, won / np.maximum(pairs, 1), 0.5)


def _middle(values: Any) -> tuple[float, float]:
    ordered = sorted(map(float, values))
    cut = round(0.025 * len(ordered))
    return ordered[cut], ordered[-1 - cut]


def wilson(hits: float, of: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of the share hits / of; (0, 1) where `of` is 0."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, Z95**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z95 * math.sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Kendall's tau-b; None where one side is constant. Quadratic in the number of values."""
    import numpy as np

    first, second = np.array(one), np.array(other)
    agree = apart_first = apart_second = 0
    for at in range(1, len(first)):
        a, b = np.sign(first[at] - first[:at]), np.sign(second[at] - second[:at])
        agree += int(a @ b)
        apart_first += int(np.count_nonzero(a))
        apart_second += int(np.count_nonzero(b))
    spread = math.sqrt(apart_first * apart_second)
    return agree / spread if spread else None


def cohen_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Return Cohen's kappa of two people's choices, of (one's, the other's); None where chance alone would agree."""
    agreed = sum(one == other for one, other in pairs)
    left, right = (Counter(pair[side] for pair in pairs) for side in (0, 1))
    by_chance = sum(left[value] * right[value] for value in left)
    room = len(pairs) ** 2 - by_chance
    return (agreed * len(pairs) - by_chance) / room if room else None


def krippendorff_alpha(units: Sequence[Sequence[int]]) -> float | None:
    """Return Krippendorff's alpha of levels in an order (ordinal), of any number of people; None where all are alike.

    Args:
        units: for each thing, the levels that those who judged it gave; of one alone nothing is learnt.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    counts = Counter(value for unit in pairable for value in unit)
    levels = sorted(counts)
    # The distance of two levels is the number of values between them, and half of those that are on either.
    below = {level: sum(counts[one] for one in levels if one < level) + counts[level] / 2 for level in levels}
    apart = {(a, b): (below[a] - below[b]) ** 2 for a in levels for b in levels}
    observed = sum(
        apart[a, b] * many * others / (len(unit) - 1)
        for unit in pairable
        for own in (Counter(unit),)
        for a, many in own.items()
        for b, others in own.items()
    )
    expected = sum(apart[a, b] * counts[a] * counts[b] for a in levels for b in levels)
    total = counts.total()
    return 1 - (total - 1) * observed / expected if expected else None
