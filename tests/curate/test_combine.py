"""Ranks of several scorers make one score."""

import math

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


def test_several_are_the_weighted_geometric_mean_of_mid_ranks() -> None:
    # rubric, in tenths: d 1, b and c share 3 and 5, e 7, a 9; ifd, in eighths of the four it scored: a 1, c 3, e 5, b 7.
    rubric = {"a": 0.9, "b": 0.4, "c": 0.4, "e": 0.7}
    ifd = {"a": 1 / 8, "b": 7 / 8, "c": 3 / 8, "e": 5 / 8}
    expected: dict[str, float | None] = {id: (rubric[id] * ifd[id]) ** 0.5 for id in rubric}
    assert combine(BOTH, {}) == pytest.approx({**expected, "d": None})
    assert combine(BOTH, {"rubric": 3, "ifd": 1})["b"] == pytest.approx((0.4**3 * 7 / 8) ** 0.25)


def test_what_one_scorer_finds_bad_others_do_not_make_up_for() -> None:
    levels = [judgement("rubric", str(at), at) for at in range(10)] + [
        judgement("ifd", str(at), -at) for at in range(10)
    ]
    scores = combine(levels, {})
    assert max(scores, key=lambda id: scores[id] or 0) in "45", "twice in the middle is better than first and last"


def test_no_judgement_at_all_and_none_of_one_scorer() -> None:
    assert combine([], {}) == {}
    assert combine([*BOTH, judgement("rubric", "f", 5.0)], {})["f"] is None


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=30))
def test_equal_scores_share_the_mean_of_the_places_they_take(scores: list[int]) -> None:
    places: dict[int, list[int]] = {}
    for place, score in enumerate(sorted(scores)):
        places.setdefault(score, []).append(place)
    expected = [(sum(places[score]) / len(places[score]) + 0.5) / len(scores) for score in scores]
    assert mid_ranks(scores).tolist() == pytest.approx(expected)


def test_a_lone_candidate_is_in_the_middle() -> None:
    assert mid_ranks([7.0, math.nan]).tolist() == pytest.approx([0.5, math.nan], nan_ok=True)
