"""Agreement of two rounds: of their chosen pairs, and of their orders of the candidates (method.md 6.4)."""

from statistics import StatisticsError, correlation
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from askback.curate.combine import Floats, mid_ranks


def agreement(
    before: Floats, now: Floats, chosen_before: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return `shared`, the share of the pairs chosen now that were chosen before, `jaccard`, and `rank_correlation`.

    The correlation is Spearman's, of the scores of the candidates that both rounds scored; None where one is constant.

    Args:
        before, now: the score of each candidate, NaN where there is none.
        chosen_before, chosen: whether each was chosen.
    """
    common, union = (int(np.count_nonzero(of)) for of in (chosen_before & chosen, chosen_before | chosen))
    both = ~np.isnan(before) & ~np.isnan(now)
    return {
        "shared": common / max(1, int(np.count_nonzero(chosen))),
        "jaccard": common / max(1, union),
        "rank_correlation": spearman(before[both], now[both]),
    }


def spearman(left: ArrayLike, right: ArrayLike) -> float | None:
    """Return Spearman's rank correlation, ties at their mean rank; None where one side is constant."""
    try:
        return correlation(mid_ranks(left).tolist(), mid_ranks(right).tolist())
    except StatisticsError:  # fewer than two values, or all equal
        return None
