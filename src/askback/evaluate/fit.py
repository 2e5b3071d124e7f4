"""The paper's scaling law, w = alpha ln N + C, fitted with an interval (method.md 1.9)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fit:
    """w = alpha ln N + constant, with the 95 % interval of alpha (None where two sizes leave nothing to tell it by).

    The paper gives alpha without the base of its logarithm; here it is e, so alpha is the gain from e times the data, and
    alpha ln 2 that from twice.
    """

    alpha: float
    low: float | None
    high: float | None
    constant: float
    points: int

    def at(self, size: float) -> float:
        """Return the fitted value."""
        return self.alpha * math.log(size) + self.constant


def fit_log(sizes: Sequence[float], values: Sequence[float]) -> Fit:
    """Fit by least squares; the interval is Student's, with points - 2 degrees of freedom.

    Raises:
        ValueError: fewer than two different sizes.
    """
    count = len(sizes)
    if len(set(sizes)) < 2:
        raise ValueError("a fit needs at least two different sizes")
    logs = [math.log(size) for size in sizes]
    middle, height = math.fsum(logs) / count, math.fsum(values) / count
    spread = math.fsum((x - middle) ** 2 for x in logs)
    alpha = math.fsum((x - middle) * (y - height) for x, y in zip(logs, values, strict=True)) / spread
    constant = height - alpha * middle
    if count < 3:
        return Fit(alpha, None, None, constant, count)
    left = math.fsum((y - alpha * x - constant) ** 2 for x, y in zip(logs, values, strict=True))
    reach = student(count - 2) * math.sqrt(left / (count - 2) / spread)
    return Fit(alpha, alpha - reach, alpha + reach, constant, count)


def student(freedom: int, share: float = 0.95) -> float:
    """Return t such that Student's distribution has `share` of its mass within ±t, to 1e-9.

    By the substitution x = sqrt(freedom) tan(a) the mass within ±t is an integral of cos^(freedom - 1), which has a
    closed form (Abramowitz and Stegun 26.7.3-4).
    """

    def within(t: float) -> float:
        angle = math.atan(t / math.sqrt(freedom))
        term, total = (math.cos(angle), 0.0) if freedom % 2 else (1.0, 0.0)
        for power in range(1 if freedom % 2 else 0, freedom - 1, 2):
            total += term
            term *= (power + 1) / (power + 2) * math.cos(angle) ** 2
        if freedom % 2:
            return 2 / math.pi * (angle + math.sin(angle) * total)
        return math.sin(angle) * total

    low, high = 0.0, 1e6
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < share else (low, middle)
    return high
