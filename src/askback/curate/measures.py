"""The figures a judge is measured by: small, exact, without a library.

Scores enter as plain floats. Ties count half, everywhere.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from random import Random
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)
"""Standard errors to each side of a mean in its 95 % interval."""
RESAMPLES = 1000
FEWEST = 5
"""Pairs that an interval can be had from: resamples of fewer, of one above all, are too much like each other."""


def auroc(good: Sequence[float], bad: Sequence[float]) -> float:
    """Return the chance that a good one scores above a bad one: Mann-Whitney's U over the number of pairs."""
    ordered = sorted(bad)
    below = sum(bisect_left(ordered, score) + bisect_right(ordered, score) for score in good)
    return below / (2 * len(good) * len(bad))


def separation(
    good: Mapping[str, float], bad: Mapping[str, Mapping[str, float]], random_seed: int = 0
) -> dict[str, tuple[float, float, float]]:
    """Return kind → (AUROC, low, high) of each kind of bad scores, and their mean under "mean".

    `good` and each of `bad` are pair id → score; a pair may be on one side alone. The interval is the middle 95 % over
    1,000 resamples of the pairs, each drawn with all its versions, since these are alike; so it holds for the mean too. Of
    fewer than `FEWEST` pairs on either side it is 0 to 1.
    """
    ids = sorted({*good, *(id for scores in bad.values() for id in scores)})
    random = Random(random_seed)
    drawn = [[0] * len(ids) for _ in range(RESAMPLES)]
    for counts in drawn:
        for at in random.choices(range(len(ids)), k=len(ids)):
            counts[at] += 1
    found: dict[str, tuple[float, list[float]]] = {}
    sizes = {kind: min(len(good), len(scores)) for kind, scores in bad.items()}
    sizes["mean"] = max(sizes.values())
    for kind, scores in bad.items():
        found[kind] = (
            auroc(list(good.values()), list(scores.values())),
            _resampled(ids, good, scores, drawn),
        )
    kinds = list(found.values())
    found["mean"] = (
        sum(value for value, _ in kinds) / len(kinds),
        [sum(column) / len(column) for column in zip(*(values for _, values in kinds), strict=True)],
    )
    return {
        kind: (value, *(_middle(values) if sizes[kind] >= FEWEST else (0.0, 1.0)))
        for kind, (value, values) in found.items()
    }


def _resampled(
    ids: list[str], good: Mapping[str, float], bad: Mapping[str, float], drawn: list[list[int]]
) -> list[float]:
    """Return the AUROC of each resample, counted in one pass over the scores in order."""
    order = sorted(
        [(good[id], at, True) for at, id in enumerate(ids) if id in good]
        + [(bad[id], at, False) for at, id in enumerate(ids) if id in bad]
    )
    values = []
    for counts in drawn:
        won = below = all_good = 0.0
        start = 0
        while start < len(order):
            stop = start
            tied_good = tied_bad = 0
            while stop < len(order) and order[stop][0] == order[start][0]:
                _, at, is_good = order[stop]
                tied_good += counts[at] if is_good else 0
                tied_bad += 0 if is_good else counts[at]
                stop += 1
            won += tied_good * (below + tied_bad / 2)
            below += tied_bad
            all_good += tied_good
            start = stop
        values.append(won / (all_good * below) if all_good * below else 0.5)
    return values


def _middle(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    cut = round(0.025 * len(ordered))
    return ordered[cut], ordered[-1 - cut]


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, Z95**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z95 * math.sqrt(share * (1 - share) / of + square / (4 * of * of)) / (1 + square / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def kendall(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Kendall's tau-b; None where one side is constant or there are fewer than two. Quadratic in their number."""
    agree = ties_one = ties_other = pairs = 0
    for at in range(len(one)):
        for before in range(at):
            a, b = one[at] - one[before], other[at] - other[before]
            agree += (a * b > 0) - (a * b < 0)
            ties_one += a == 0
            ties_other += b == 0
            pairs += 1
    spread = math.sqrt((pairs - ties_one) * (pairs - ties_other))
    return agree / spread if spread else None
