"""A score is read from text only where it is written as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.curate.scorers.parse import parse
from tests.clock import ends_within


@pytest.mark.parametrize(
    "text",
    [
        "It does what was asked.\nScore: 4",
        "Score: 4",
        "score: 4",
        "**Score:** 4",
        "**Score**: 4",
        "Score: **4**",
        "Score: <4>",
        "Score:4",
        "SCORE : 4.",
        "得分: 4",
        "得分：4",
        "Score: 4/5",
        "Score: 4 out of 5",
        "Score (1-5): 4",
        "Score: 4 - good work, with two flaws",
        "A Score: 1 would be for rubbish, and this is none.\nScore: 4",
        "Score: 4\nHad it been finished, Score: 9.",
        "Score:Score: 4",
        "Score: [4] because 3 of the 4 parts are there",
    ],
)
def test_a_score_is_found_in_any_dress(text: str) -> None:
    assert parse(text, 1, 5) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Score:",
        "Score: 10/10",
        "Score: 4/10",
        "Score: 9",
        "Score: 0",
        "Score: 45",
        "Score: 1986",
        "Score: -4",
        "Score: 4-5",
        "Score: 3 or 4",
        "Score: 4:15",
        "Score: 4,5",
        "Score: 4th",
        "Score: 4/5/2026",
        "Score: four",
        "Underscore: 4",
        "It leaves out the 3 main steps. I would turn it down.",
        "There are 10 items in the list, all of them right.",
        "5",
    ],
)
def test_what_is_no_score_on_the_scale_is_none(text: str) -> None:
    assert parse(text, 1, 5) is None


def test_decimals_and_the_ends_of_a_scale_count() -> None:
    assert parse("Score: 4.5", 1, 5) == 4.5 and parse("Score: 5.5", 1, 5) is None
    assert parse("Score: 0", 0, 5) == 0 and parse("Score: 5", 0, 5) == 5


PIECES = st.sampled_from(
    ["score", "Score", "得分", ":", "：", " ", "*", "(", ")", "4", "5", "9", "0", ".", "/", "out of"]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_gives_a_score_on_the_scale_or_none(text: str) -> None:
    found = parse(text, 1, 5)
    assert found is None or 1 <= found <= 5


@pytest.mark.parametrize(
    "piece", ["score", "score ", "score:", "score: 4", "score (", " ", "*", "4", "score:((((((((4.4"]
)
def test_long_text_takes_time_in_proportion(piece: str) -> None:
    """Of two hundred thousand characters; what is quadratic would take hours."""
    assert ends_within(10, lambda: parse(piece * (200_000 // len(piece)), 1, 5))
