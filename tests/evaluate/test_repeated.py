"""Differences between ways to train, each repeated: the interval holds both chances, trainings and pairs."""

import math

import numpy as np
import pytest

from askback.evaluate.difference import loss_difference, student_t
from askback.evaluate.repeated import repeated_difference
from askback.records import Loss

Table = list[list[Loss]]


def losses(nats: "np.ndarray", tokens: "np.ndarray") -> Table:
    return [
        [Loss("", str(n), "", float(one), int(size)) for n, (one, size) in enumerate(zip(row, tokens, strict=True))]
        for row in nats
    ]


def made(trainings: int, pairs: int, spreads: tuple[float, float, float], random: "np.random.Generator") -> Table:
    """Return losses whose mean is 0; nats per token differ by training, by pair, and by both together."""
    tokens = np.clip(random.lognormal(4.5, 0.8, pairs), 5, None).round()
    by_training, by_pair, by_both = spreads
    differences = random.normal(0, by_training, (trainings, 1)) + random.normal(0, by_pair, (1, pairs))
    return losses((differences + random.normal(0, by_both, (trainings, pairs))) * tokens, tokens)


def zero(table: Table) -> Table:
    return [[Loss("", one.example_id, "", 0.0, one.tokens) for one in row] for row in table]


def test_one_training_has_the_interval_of_pairs_alone() -> None:
    table = made(1, 14, (0.0, 0.02, 0.0), np.random.default_rng(0))
    found = repeated_difference(zero(table), table, 0.95)
    assert found[:3] == tuple(loss_difference(zero(table)[0], table[0], 0.95))
    assert (found.trainings, found.pairs, found.between_trainings) == (1, 14, None)
    assert found.detectable > found.high - found.difference


def test_equal_pairs_have_the_t_interval_over_trainings() -> None:
    shifts = np.array([-0.01, -0.03, -0.02])
    table = losses(np.repeat(shifts[:, None], 20, 1) * 50, np.full(20, 50))
    found = repeated_difference(zero(table), table, 0.95)
    reach = student_t(0.975, 2) * shifts.std(ddof=1) / math.sqrt(3)
    assert found.difference == pytest.approx(-0.02) and found.between_trainings == pytest.approx(0.01)
    assert found.high - found.difference == pytest.approx(reach, rel=1e-6)
    error = shifts.std(ddof=1) / math.sqrt(3)
    assert found.detectable == pytest.approx(reach + student_t(0.8, 2) * error, rel=1e-6)


def test_equal_trainings_have_the_interval_over_pairs() -> None:
    table = made(1, 40, (0.0, 0.02, 0.0), np.random.default_rng(1)) * 4
    alone = loss_difference(zero(table)[0], table[0], 0.95)
    found = repeated_difference(zero(table), table, 0.95)
    assert found[:3] == pytest.approx(tuple(alone), rel=1e-6) and found.between_trainings == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("trainings", "pairs", "spreads"),
    [
        (3, 14, (0.005, 0.02, 0.01)),
        (3, 60, (0.01, 0.005, 0.01)),
        (10, 14, (0.005, 0.0, 0.02)),
        (5, 200, (0.0, 0.02, 0.0)),
    ],
)
def test_an_interval_covers_the_truth_as_often_as_it_says(
    trainings: int, pairs: int, spreads: tuple[float, float, float]
) -> None:
    random = np.random.default_rng(trainings + pairs)
    tables = [made(trainings, pairs, spreads, random) for _ in range(100)]
    found = [repeated_difference(zero(table), table, 0.95) for table in tables]
    covered = sum(one.low <= 0 <= one.high for one in found) / len(found)
    assert covered >= 0.88, "of 100, 95 % cover, less three standard errors"
    narrow = [loss_difference(zero(table)[0], table[0], 0.95) for table in tables]
    if spreads == (0.01, 0.005, 0.01) and pairs == 60:
        assert sum(one.low <= 0 <= one.high for one in narrow) / len(narrow) < 0.75, (
            "one training is not enough to know"
        )


def test_pairs_that_one_training_lacks_are_left_out() -> None:
    table = made(2, 10, (0.01, 0.01, 0.0), np.random.default_rng(2))
    found = repeated_difference(zero(table), [table[0], table[1][:8]], 0.95)
    assert found.pairs == 8
