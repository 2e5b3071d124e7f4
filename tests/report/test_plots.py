"""Plots: marks where the values are, round numbers, nothing of a label taken as markup."""

import re
from xml.etree import ElementTree

import pytest

from askback.report import plots


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (2.08, 2.22, [2.1, 2.15, 2.2]),
        (0, 3000, [0, 1000, 2000, 3000]),
        (-3, 3, [-2, 0, 2]),
    ],
)
def test_ticks_are_round(low: float, high: float, wanted: list[float]) -> None:
    assert plots.ticks(low, high) == pytest.approx(wanted)


def test_a_histogram_shows_shares_of_each_series() -> None:
    drawn = plots.histogram("h", {"one": [0, 0, 0, 1], "two": [1, 1]}, "x", bins=2)
    first, second = re.findall(r'class="mark area[^>]*d="([^"]+)"', drawn)
    # The plane is 166 high, from y = 14 (share 1, all of "two") to y = 180 (share 0).
    assert [float(y) for y in re.findall(r"V([\d.]+)", first)] == pytest.approx(
        [180 - 0.75 * 166, 180 - 0.25 * 166, 180]
    )
    assert [float(y) for y in re.findall(r"V([\d.]+)", second)] == pytest.approx([180, 14, 180])


def test_an_interval_is_drawn_to_scale() -> None:
    drawn = plots.intervals("i", [("a", 1, 0, 2), ("b", 3, 2, 4)], "nats")
    dots = [float(x) for x in re.findall(r'cx="([\d.]+)"', drawn)]
    left, right = 21.0, 344.0
    assert dots == pytest.approx([left + (right - left) / 4, left + 3 * (right - left) / 4], abs=0.1)


def test_one_value_and_none() -> None:
    assert "mark" in plots.histogram("h", {"one": [2.0]}, "x")
    assert (
        plots.histogram("h", {"one": []}, "x") == plots.lines("l", {}, "x", "y") == plots.scatter("s", [], "", "") == ""
    )


def test_a_sunburst_gives_each_word_its_share() -> None:
    drawn = plots.sunburst("s", {"write": {"story": 3, "poem": 1}, "give": {"list": 4}})
    assert drawn.count('class="mark sector') == 5
    assert "story: 3" in drawn and "give: 4" in drawn


@pytest.mark.parametrize("word", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;", "a\u2028b"])
def test_labels_are_text(word: str) -> None:
    for drawn in (
        plots.histogram(word, {word: [1, 2]}, word),
        plots.lines(word, {word: [(0, 1), (1, 2)]}, word, word),
        plots.intervals(word, [(word, 1, 0, 2)], word),
        plots.scatter(word, [(0, 1, word)], word, word),
        plots.sunburst(word, {word: {word: 1}}),
    ):
        tree = ElementTree.fromstring(f"<div>{drawn}</div>")
        assert not [element.tag for element in tree.iter() if element.tag in ("script", "img")]
