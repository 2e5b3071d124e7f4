"""Agreement of two rounds: of their chosen pairs, and of their orders of the candidates (method.md 6.4)."""

from collections.abc import Collection, Mapping
from statistics import StatisticsError, correlation
from typing import Any

from askback.curate.combine import Key, mid_ranks


def agreement(
    before: Mapping[str, float | None],
    now: Mapping[str, float | None],
    chosen_before: Collection[str],
    chosen: Collection[str],
) -> dict[str, Any]:
    """Return `shared`, the share of the pairs chosen now that were chosen before, `jaccard`, and `rank_correlation`.

    The correlation is Spearman's, of the scores of the candidates that both rounds scored; None where one is constant.
    """
    common = set(chosen_before) & set(chosen)
    union = set(chosen_before) | set(chosen)
    both = [id for id in now if now[id] is not None and before.get(id) is not None]
    return {
        "shared": len(common) / max(1, len(chosen)),
        "jaccard": len(common) / max(1, len(union)),
        "rank_correlation": spearman({id: before[id] for id in both}, {id: now[id] for id in both}),
    }


def spearman(left: Mapping[Key, float | None], right: Mapping[Key, float | None]) -> float | None:
    """Return Spearman's rank correlation, ties at their mean rank; None where one side is constant."""
    a, b = mid_ranks(left), mid_ranks(right)
    try:
        return correlation(list(a.values()), [b[id] for id in a])
    except StatisticsError:  # fewer than two values, or all equal
        return None
