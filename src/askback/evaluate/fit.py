"""The paper's scaling law, w = alpha ln N + C, fitted with an interval (method.md 1.9)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, linear_regression

from askback.evaluate.difference import student_t


@dataclass(frozen=True)
class Fit:
    """w = alpha ln N + constant, with the 95 % interval of alpha (None with two sizes only).

    The paper gives alpha without the base of its logarithm; here it is e, so doubling the data gains alpha ln 2.
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
    alpha, constant = linear_regression(logs, values)
    if count < 3:
        return Fit(alpha, None, None, constant, count)
    middle = fmean(logs)
    spread = math.fsum((x - middle) ** 2 for x in logs)
    residue = math.fsum((y - alpha * x - constant) ** 2 for x, y in zip(logs, values, strict=True))
    reach = student_t(0.975, count - 2) * math.sqrt(residue / (count - 2) / spread)
    return Fit(alpha, alpha - reach, alpha + reach, constant, count)
