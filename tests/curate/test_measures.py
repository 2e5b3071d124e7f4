"""Each figure against values worked out by hand or known from a table, and against its definition."""

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.curate.measures import (
    auroc,
    auroc_at_equal_length,
    cohen_kappa,
    kendall,
    krippendorff_alpha,
    separation,
    wilson,
)

scores = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12)


def test_auroc_by_hand() -> None:
    # Pairs won: 3>1, 3>2, 2>1; tied: 2=2; of 2 x 2.
    assert auroc([3, 2], [1, 2]) == 3.5 / 4
    assert (auroc([2], [1]), auroc([1], [2]), auroc([1, 1], [1])) == (1.0, 0.0, 0.5)


@given(scores, scores)
def test_auroc_is_the_share_of_pairs_won(good: list[float], bad: list[float]) -> None:
    won = sum((g > b) + (g == b) / 2 for g, b in product(good, bad))
    assert auroc(good, bad) == pytest.approx(won / (len(good) * len(bad)))
    assert auroc(bad, good) == pytest.approx(1 - auroc(good, bad))


def test_auroc_at_equal_length_by_hand() -> None:
    # Fifths of two: won in the first, lost in the second, tied in the third; the others have one side alone.
    lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    good = [True, False, True, False, True, False, True, True, False, False]
    scores = [2, 1, 1, 2, 5, 5, 9, 9, 0, 0]
    assert auroc_at_equal_length(scores, good, lengths) == pytest.approx((1 + 0 + 0.5) / 3)
    assert auroc_at_equal_length(lengths, [at >= 5 for at in range(10)], lengths) == 1.0, "the middle fifth alone"
    assert auroc_at_equal_length([], [], []) is None


def test_wilson_is_the_published_interval() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(0, 0) == (0, 1)


def test_a_rank_correlation_by_hand() -> None:
    assert kendall([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]) == pytest.approx((8 - 2) / 10)
    # tau-b with ties: 4 agree, 0 disagree; one tie on the left of 6 pairs, one on the right.
    assert kendall([1, 1, 2, 3], [1, 2, 3, 3]) == pytest.approx(4 / 5)
    assert kendall([1, 1], [1, 2]) is None and kendall([1], [1]) is None


def test_the_interval_holds_the_value_and_knows_that_versions_of_a_pair_go_together() -> None:
    random = Random(1)
    good = {str(at): random.gauss(1, 1) for at in range(40)}
    bad = {kind: {str(at): random.gauss(0, 1) for at in range(40)} for kind in "ab"}
    found = separation(good, bad)
    assert found["a"][0] == auroc(list(good.values()), list(bad["a"].values()))
    assert found["mean"][0] == pytest.approx((found["a"][0] + found["b"][0]) / 2)
    for value, low, high in found.values():
        assert low < value < high and 0.1 < high - low < 0.35
    assert separation(good, bad) == found, "no randomness but the seed's"
    same = separation(good, {"a": bad["a"], "again": bad["a"]})
    assert same["mean"] == pytest.approx(same["a"]), "two copies of one kind say no more than one"


def test_so_few_pairs_have_no_interval() -> None:
    for count, expected in ((1, (1.0, 0.0, 1.0)), (4, (1.0, 0.0, 1.0)), (5, (1.0, 1.0, 1.0))):
        good, bad = ({str(at): value + at / 100 for at in range(count)} for value in (2.0, 1.0))
        assert separation(good, {"kind": bad}) == {"kind": expected, "mean": expected}
    assert separation(good, {"kind": bad, "rare": {"0": 1.0}})["rare"] == (1.0, 0.0, 1.0)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """At chance, 0.5 lies in most of 60 intervals; a wrong resampling is off by far more than the slack here."""
    inside = 0
    for trial in range(60):
        random = Random(trial)
        good, bad = ({str(at): random.random() for at in range(25)} for _ in range(2))
        _, low, high = separation(good, {"kind": bad}, trial)["kind"]
        inside += low <= 0.5 <= high
    assert inside >= 51


def test_kappa_by_hand() -> None:
    # 35 of 50 agree; of 25 and 30 "yes", chance makes 0.5 x 0.6 + 0.5 x 0.4.
    votes = [(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15
    assert cohen_kappa(votes) == pytest.approx(0.4)
    assert cohen_kappa([(1, 1)] * 3) is None and cohen_kappa([]) is None


def test_alpha_is_the_published_one() -> None:
    # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), C and D: four observers, twelve units, ordinal 0.815;
    # A: two observers, ten units of two values, 0.095.
    observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[int(value) for value in unit if value != "."] for unit in zip(*observers, strict=True)]
    assert krippendorff_alpha(units) == pytest.approx(0.815, abs=5e-4)
    assert krippendorff_alpha(list(zip(map(int, "0100000010"), map(int, "1110010000"), strict=True))) == pytest.approx(
        0.095, abs=5e-4
    )
    assert krippendorff_alpha([[1], [2]]) is None and krippendorff_alpha([[3, 3], [3, 3]]) is None
