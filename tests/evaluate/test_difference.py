"""The interval of a difference between two models covers what it promises, and is what a plain computation gives."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from askback.evaluate.difference import loss_difference, student_t
from askback.records import Loss


def losses(nats: list[float], tokens: list[int] | None = None) -> list[Loss]:
    return [Loss(f"{n}", f"pair{n}", "m", value, tokens[n] if tokens else 10) for n, value in enumerate(nats)]


def test_the_difference_is_of_the_losses_per_token() -> None:
    before, after = losses([20.0, 90.0], [10, 30]), losses([22.0, 94.0], [10, 30])
    found = loss_difference(before, after[::-1], 0.95)
    assert found.difference == pytest.approx((22 + 94) / 40 - (20 + 90) / 40)


def test_the_error_is_the_jackknifes() -> None:
    random = np.random.default_rng(5)
    tokens = random.integers(20, 200, 40)
    nats = random.normal(0.01, 0.1, 40) * tokens
    found = loss_difference(losses([0.0] * 40, tokens.tolist()), losses(nats.tolist(), tokens.tolist()), 0.95)
    left_out = [(nats.sum() - nats[n]) / (tokens.sum() - tokens[n]) for n in range(40)]
    error = math.sqrt(39 / 40 * sum((one - found.difference) ** 2 for one in left_out))
    effective = tokens.sum() ** 2 / (tokens**2).sum()
    reach = error * student_t(0.975, effective - 1)
    assert (found.low, found.high) == pytest.approx((found.difference - reach, found.difference + reach), rel=1e-9)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [(1, 12.7062047), (2, 4.3026527), (3, 3.1824463), (6, 2.4469119), (30, 2.0422725), (31, 2.0395134)],
)
def test_quantiles_of_students_t_to_six_digits(degrees: int, expected: float) -> None:
    assert student_t(0.975, degrees) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("degrees", "expected"), [(5, 2.5706), (13, 2.1604), (1000, 1.9623)])
def test_quantiles_of_students_t_are_those_of_the_tables(degrees: int, expected: float) -> None:
    assert student_t(0.975, degrees) == pytest.approx(expected, abs=5e-5)


Draw = Callable[[np.random.Generator, int], np.ndarray]
NORMAL: Draw = lambda random, n: random.normal(0, 1, n)  # noqa: E731
HEAVY: Draw = lambda random, n: random.standard_t(2.5, n)  # noqa: E731
SKEWED: Draw = lambda random, n: random.exponential(1, n) - 1  # noqa: E731


@pytest.mark.parametrize(
    ("draw", "pairs", "least"),
    [
        *((NORMAL, pairs, 0.93) for pairs in (14, 60, 200, 1000)),
        *((HEAVY, pairs, 0.93) for pairs in (14, 60, 200, 1000)),
        (SKEWED, 14, 0.85),
        (SKEWED, 60, 0.90),
        (SKEWED, 200, 0.91),
        (SKEWED, 1000, 0.92),
    ],
)
def test_an_interval_of_95_percent_covers_the_truth_about_as_often(draw: Draw, pairs: int, least: float) -> None:
    """400 sets of pairs, answers of very unequal length, the truth being 0.003 nats per token.

    The standard error of a coverage of 0.95 over 400 sets is 0.011.
    """
    random = np.random.default_rng(11)
    hit = 0
    for _ in range(400):
        tokens = random.lognormal(5, 0.8, pairs).astype(int) + 5
        nats = (0.003 + 0.0176 * draw(random, pairs)) * tokens
        found = loss_difference(losses([0.0] * pairs, tokens.tolist()), losses(nats.tolist(), tokens.tolist()), 0.95)
        hit += found.low <= 0.003 <= found.high
    assert least <= hit / 400 <= 0.99


def test_one_pair_says_nothing() -> None:
    found = loss_difference(losses([1.0]), losses([9.0]), 0.95)
    assert found.difference == pytest.approx(0.8) and (found.low, found.high) == (-math.inf, math.inf)


def test_models_are_compared_on_the_pairs_that_both_have() -> None:
    before, after = losses([20.0, 30.0, 99.0])[:2], losses([88.0, 33.0, 44.0])[1:]
    assert loss_difference(before, after, 0.95).difference == pytest.approx(0.3)
    assert loss_difference(before[:1], after[1:], 0.95) == (0, -math.inf, math.inf)
