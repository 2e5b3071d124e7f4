"""Agreement of two rounds, against numbers worked out by hand."""

import math

import numpy as np
import pytest

from askback.curate.agreement import agreement, spearman


def test_what_two_rounds_have_in_common() -> None:
    before, now = np.array([1.0, 2, 3, math.nan, 0]), np.array([10.0, 30, 20, 5, math.nan])
    found = agreement(before, now, np.array([1, 1, 1, 0, 0], bool), np.array([0, 1, 1, 1, 1], bool))
    assert found == {"shared": 0.5, "jaccard": 0.4, "rank_correlation": pytest.approx(0.5)}  # 1 - 6 * 2 / (3 * 8)


def test_rank_correlation() -> None:
    # scipy.stats.spearmanr([1, 2, 2, 4, 5], [2, 1, 3, 3, 9]) gives 0.7631578947368421
    left, right = [1, 2, 2, 4, 5], [2, 1, 3, 3, 9]
    assert spearman(left, right) == pytest.approx(0.7631578947368421)
    assert spearman(left, left) == pytest.approx(1)
    assert spearman(left, [-score for score in left]) == pytest.approx(-1)
    assert spearman(left, [3.0] * 5) is None
    assert spearman([], []) is None and spearman([1.0], [2.0]) is None
