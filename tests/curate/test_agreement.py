"""Agreement of two rounds, against numbers worked out by hand."""

import pytest

from askback.curate.agreement import agreement, spearman


def test_what_two_rounds_have_in_common() -> None:
    before = {"a": 1.0, "b": 2.0, "c": 3.0, "d": None}
    now = {"a": 10.0, "b": 30.0, "c": 20.0, "d": 5.0}
    found = agreement(before, now, {"a", "b", "c"}, {"b", "c", "d", "e"})
    assert found == {"shared": 0.5, "jaccard": 0.4, "rank_correlation": pytest.approx(0.5)}  # 1 - 6 * 2 / (3 * 8)


def test_rank_correlation() -> None:
    # scipy.stats.spearmanr([1, 2, 2, 4, 5], [2, 1, 3, 3, 9]) gives 0.7631578947368421
    left, right = (dict(zip("abcde", values, strict=True)) for values in ([1, 2, 2, 4, 5], [2, 1, 3, 3, 9]))
    assert spearman(left, right) == pytest.approx(0.7631578947368421)
    assert spearman(left, left) == pytest.approx(1)
    assert spearman(left, {id: -score for id, score in left.items()}) == pytest.approx(-1)
    assert spearman(left, dict.fromkeys("abcde", 3.0)) is None
    assert spearman({}, {}) is None and spearman({"a": 1.0}, {"a": 2.0}) is None
