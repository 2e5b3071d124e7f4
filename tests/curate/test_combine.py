"""Ranks of several scorers make one score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.curate.combine import combine, mid_ranks
from askback.records import Judgement


def judgement(scorer: str, candidate: str, score: float | None) -> Judgement:
    return Judgement(f"{scorer} {candidate}", candidate, scorer, score, [], None, [], [], "p", "m")


RUBRIC = {"a": 4.0, "b": 2.0, "c": 2.0, "d": 1.0, "e": 3.0}
IFD = {"a": 0.1, "b": 0.5, "c": 0.2, "d": None, "e": 0.3}
BOTH = [judgement("rubric", *one) for one in RUBRIC.items()] + [judgement("ifd", *one) for one in IFD.items()]


def test_one_scorer_keeps_its_scale() -> None:
    assert combine(BOTH[:5], {}) == RUBRIC
    assert combine(BOTH, {"ifd": 2.0}) == IFD
    assert combine(BOTH, {"ifd": 2.0, "rubric": 0.0}) == IFD


def test_several_are_the_weighted_mean_of_mid_ranks() -> None:
    # rubric: d 0, b and c share 1 and 2 of 4, e 3, a 4; ifd, among the four it scored: a 0, c 1, e 2, b 3 of 3.
    assert combine(BOTH, {}) == pytest.approx(
        {"a": (1 + 0) / 2, "b": (1.5 / 4 + 1) / 2, "c": (1.5 / 4 + 1 / 3) / 2, "d": None, "e": (3 / 4 + 2 / 3) / 2}
    )
    assert combine(BOTH, {"rubric": 3, "ifd": 1})["b"] == pytest.approx((3 * 1.5 / 4 + 1) / 4)


def test_no_judgement_at_all_and_none_of_one_scorer() -> None:
    assert combine([], {}) == {}
    assert combine([*BOTH, judgement("rubric", "f", 5.0)], {})["f"] is None


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=30))
def test_equal_scores_share_the_mean_of_the_places_they_take(scores: list[int]) -> None:
    places: dict[int, list[int]] = {}
    for place, score in enumerate(sorted(scores)):
        places.setdefault(score, []).append(place)
    expected = [sum(places[score]) / len(places[score]) / (len(scores) - 1) for score in scores]
    ours = mid_ranks({str(at): float(score) for at, score in enumerate(scores)})
    assert list(ours.values()) == pytest.approx(expected)


def test_a_lone_candidate_is_in_the_middle() -> None:
    assert mid_ranks({"a": 7.0, "b": None}) == {"a": 0.5}
