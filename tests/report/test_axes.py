"""Axes: round numbers; series that can be formatted apart without colour."""

import pytest

from askback.report import axes


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
    assert axes.ticks(low, high) == pytest.approx(wanted)


def test_series_differ_without_colour() -> None:
    signs = {axes.dot_key(number).replace(f"c{number}", "") for number in range(4)}
    dashes = {axes.line_key(number).replace(f"c{number}", "") for number in range(4)}
    assert len(signs) == len(dashes) == 4
    both = {(axes.dot_key(number), axes.line_key(number)) for number in range(12)}
    assert len(both) == 12, "colour and shape together tell twelve apart"


def test_numbers_are_written_as_people_read_them() -> None:
    assert [axes.formatted(value) for value in (-0.02, 12000.0, 0.5)] == ["−0.02", "12,000", "0.5"]
