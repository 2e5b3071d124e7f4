"""Plots: marks where the values are, round numbers, nothing of a label taken as markup."""

import math
import re
from xml.etree import ElementTree

import pytest

from askback.report import plots


def test_a_histogram_shows_shares_of_each_series() -> None:
    drawn = plots.histogram("h", {"one": [0, 0, 0, 1], "two": [1, 1]}, "x", bins=2)
    first, second = re.findall(r'class="mark area[^>]*d="([^"]+)"', drawn)
    # From y = 180 (share 0) up; share 1, all of "two", has a little room above it.
    full = 166 / 1.08
    assert [float(y) for y in re.findall(r"V([\d.]+)", first)] == pytest.approx(
        [180 - 0.75 * full, 180 - 0.25 * full, 180], abs=0.05
    )
    assert [float(y) for y in re.findall(r"V([\d.]+)", second)] == pytest.approx([180, 180 - full, 180], abs=0.05)


def test_an_interval_is_drawn_to_scale() -> None:
    drawn = plots.intervals("i", {"one": [("a", 1, 0, 2), ("b", 3, 2, 4)]}, "nats", against=0, digits=2)
    dots = [float(x) for x in re.findall(r'cx="([\d.]+)"', drawn)]
    # The plane reaches from x = 21 (-0.16) to x = 302 (4.16).
    assert dots == pytest.approx([21 + 281 * 1.16 / 4.32, 21 + 281 * 3.16 / 4.32], abs=0.1)
    assert re.findall(r'class="against" d="M([\d.]+)', drawn) == [f"{21 + 281 * 0.16 / 4.32:.1f}"]
    assert "a: 1.00 (0.00 to 2.00)" in drawn and ">3.00</text>" in drawn


def test_series_of_intervals_have_shapes_of_their_own_and_rows_in_common() -> None:
    drawn = plots.intervals("i", {"one": [("a", 1, None, None)], "two": [("b", -1, -2, 0), ("a", 2, 1, 3)]}, "x")
    assert (
        len(re.findall(r'<circle class="mark', drawn)) == 1 and len(re.findall(r'<path class="mark dot c1', drawn)) == 2
    )
    assert len(re.findall('class="mark line', drawn)) == 2, "what has no interval is drawn without one"
    assert re.findall(r'class="over"[^>]*>(.)<', drawn) == ["a", "b"]
    assert "−1.000" in drawn, "a true minus sign"


def test_long_labels_stand_above_their_rows() -> None:
    long = "m1 : somebody_else, a set of prompts"
    drawn = plots.intervals("i", {"one": [(long, 50, 40, 60)]}, "%")
    ((x, y),) = re.findall(rf'class="over" x="(\d+)" y="(\d+)"[^>]*>{long}<', drawn)
    (dot,) = re.findall(r'cy="(\d+)', drawn)
    assert int(x) < 20 and int(y) < int(dot)


def test_a_giant_flattens_nothing() -> None:
    drawn = plots.histogram("h", {"one": [*range(1000), 1_000_000.0]}, "characters")
    assert "characters (last column: and more)" in drawn and ">800</text>" in drawn
    assert "and more" not in plots.histogram("h", {"one": [1, 2, 50]}, "characters")


def test_a_long_training_is_a_line_of_few_points() -> None:
    drawn = plots.lines("l", {"m0": [(float(step), step % 2) for step in range(1, 3001)]}, "step", "loss")
    (path,) = re.findall(r'class="mark line[^>]*d="([^"]+)"', drawn)
    assert path.count("L") == plots.POINTS - 1


def test_a_fit_is_a_straight_line_over_the_logarithm() -> None:
    points = {"seed": [(100, 1.0, 0.0), (1000, 2.0, 0.0), (10000, 3.0, 0.0)]}
    alpha = 1 / math.log(10)
    drawn = plots.curves("c", points, {"seed": (alpha, -1.0)}, "examples", "loss")
    dots = [(float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', drawn)][:3]
    assert dots[1][0] - dots[0][0] == pytest.approx(dots[2][0] - dots[1][0], abs=0.2)
    (line,) = re.findall(r'class="mark line[^>]*d="M([^"]+)"', drawn)
    ends = [tuple(map(float, end.split())) for end in line.split("L")]
    assert ends == [pytest.approx(dots[0], abs=0.1), pytest.approx(dots[2], abs=0.1)]
    assert ">10,000</text>" in drawn


def test_one_value_and_none() -> None:
    assert "mark" in plots.histogram("h", {"one": [2.0]}, "x")
    assert (
        plots.histogram("h", {"one": []}, "x")
        == plots.lines("l", {}, "x", "y")
        == plots.scatter("s", {"none": []}, "", "")
        == ""
    )


def test_a_sunburst_gives_each_word_its_share() -> None:
    drawn = plots.sunburst("s", [("write", 6, [("story", 3), ("poem", 1)]), ("give", 2, [("list", 2)])])
    assert drawn.count('class="mark sector') == 5
    assert "story: 3" in drawn and "give: 2" in drawn
    # "write" has three quarters of the inner ring, from the top to the left; its nouns end at the bottom, and leave a gap.
    assert re.search(r'sector c0" d="M0\.0 -45\.0L0\.0 -105\.0A105 105 0 1 1 -105\.0 -?0\.0L', drawn)
    assert re.search(r"A177 177 0 0 1 -?0\.0 177\.0L[^>]*><title>poem: 1<", drawn)


@pytest.mark.parametrize("word", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "&amp;", "a\u2028b"])
def test_labels_are_text(word: str) -> None:
    for drawn in (
        plots.histogram(word, {word: [1, 2]}, word),
        plots.lines(word, {word: [(0, 1), (1, 2)]}, word, word),
        plots.intervals(word, {word: [(word, 1, 0, 2)], "other": [(word, 1, 0, 2)]}, word),
        plots.bars(word, [(word, 1, word)], word),
        plots.scatter(word, {word: [(0, 1)]}, word, word),
        plots.curves(word, {word: [(1, 2, 0), (2, 3, 1)]}, {word: (1, 2)}, word, word),
        plots.sunburst(word, [(word, 1, [(word, 1)])]),
    ):
        tree = ElementTree.fromstring(f"<div>{drawn}</div>")
        assert not [element.tag for element in tree.iter() if element.tag in ("script", "img")]
