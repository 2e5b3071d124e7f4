"""The fit finds what was put in, and its interval covers as often as it says."""

import math

import numpy as np
import pytest

from askback.evaluate.fit import fit_log

SIZES = [100, 800, 1600, 3200, 6400, 12800, 25600, 51200]
"""The paper's (method.md 1.5)."""


@pytest.mark.parametrize("alpha", [6.95, 5.69, 4.43, 0.22])
def test_the_papers_alphas_are_found_in_noisy_curves(alpha: float) -> None:
    """Win rates over about 250 prompts have a standard error of 3 points (method.md 1.6)."""
    noise = np.random.default_rng(5).normal(0, 3, len(SIZES))
    found = fit_log(SIZES, [alpha * math.log(size) + 10 + float(more) for size, more in zip(SIZES, noise, strict=True)])
    assert found.low is not None and found.high is not None
    assert found.low < alpha < found.high and found.high - found.low < 5


def test_an_exact_line_is_found_exactly() -> None:
    found = fit_log(SIZES, [6.95 * math.log(size) - 3 for size in SIZES])
    assert found.alpha == pytest.approx(6.95, abs=1e-12) and found.constant == pytest.approx(-3, abs=1e-10)
    assert found.at(100) == pytest.approx(6.95 * math.log(100) - 3)


@pytest.mark.parametrize("points", [3, 5, 8])
def test_the_interval_covers(points: int) -> None:
    random, inside = np.random.default_rng(points), 0
    for _ in range(2000):
        values = [2.0 * math.log(size) + float(random.normal(0, 1.5)) for size in SIZES[:points]]
        found = fit_log(SIZES[:points], values)
        assert found.low is not None and found.high is not None
        inside += found.low <= 2.0 <= found.high
    assert 0.935 <= inside / 2000 <= 0.965


def test_two_points_have_no_interval_and_one_no_fit() -> None:
    assert fit_log([100, 200], [1.0, 2.0]).low is None
    with pytest.raises(ValueError, match="two different sizes"):
        fit_log([100, 100], [1.0, 2.0])
