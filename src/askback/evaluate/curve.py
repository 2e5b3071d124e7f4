"""A scaling curve as an SVG file of its own: points, fits, axes; readable without colour."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from askback.evaluate.fit import Fit

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 220, 30, 60
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's, told apart by people of every colour vision."""
MARKS = ("circle", "square", "triangle", "diamond")
DASHES = ("", "6 3", "2 3", "8 3 2 3")

Points = Mapping[str, Sequence[tuple[int, float]]]
"""Name of a set → (size, value)."""


def curve(points: Points, fits: Mapping[str, Fit], title: str, measure: str) -> str:
    """Return the SVG of each set's values over size (on a logarithmic axis), with its fit and the fit's alpha."""
    sizes = sorted({size for row in points.values() for size, _ in row})
    values = [value for row in points.values() for _, value in row]
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * 0.1
    ticks = _ticks(low - room, high + room)
    low, high = min(low - room, ticks[0]), max(high + room, ticks[-1])
    first, last = math.log(sizes[0]), math.log(sizes[-1])

    def x(size: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((math.log(size) - first) / (last - first) if last > first else 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="13"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>',
    ]
    for tick in ticks:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for size in sizes:
        parts.append(f'<text x="{x(size):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{size:,}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 14}" text-anchor="middle">examples N (logarithmic)</text>')
    upright = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="18" y="{upright}" text-anchor="middle" transform="rotate(-90 18 {upright})">{escape(measure)}</text>'
    )
    for number, (name, row) in enumerate(points.items()):
        colour, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        if (fit := fits.get(name)) is not None:
            ends = (min(size for size, _ in row), max(size for size, _ in row))
            (x1, y1), (x2, y2) = ((x(size), y(fit.at(size))) for size in ends)
            dash = DASHES[number % len(DASHES)]
            parts.append(
                f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="2" '
                f'stroke-dasharray="{dash}"/>'
            )
        parts += [_mark(mark, x(size), y(value), colour, f"{name}, {size:,}: {value:.4g}") for size, value in row]
        above = TOP + 14 + number * 40
        parts.append(_mark(mark, WIDTH - RIGHT + 20, above - 4, colour, name))
        parts.append(f'<text x="{WIDTH - RIGHT + 32}" y="{above}">{escape(name)}</text>')
        if fit is not None:
            parts.append(f'<text x="{WIDTH - RIGHT + 32}" y="{above + 16}" font-size="11">{escape(told(fit))}</text>')
    return "\n".join([*parts, "</svg>\n"])


def told(fit: Fit) -> str:
    """Return a fit's alpha with its interval, in words."""
    if fit.low is None or fit.high is None:
        return f"α {fit.alpha:.4g} (from {fit.points} points)"
    return f"α {fit.alpha:.4g} ({fit.low:.4g} to {fit.high:.4g})"


def _ticks(low: float, high: float) -> list[float]:
    """Return four to ten round values inside a range."""
    step = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * times for times in (1, 2, 5, 10) if (high - low) / (step * times) <= 8)
    return [round(number * step, 12) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _mark(kind: str, x: float, y: float, colour: str, said: str) -> str:
    corners = {
        "square": ((-5, -5), (5, -5), (5, 5), (-5, 5)),
        "triangle": ((0, -6), (6, 5), (-6, 5)),
        "diamond": ((0, -7), (7, 0), (0, 7), (-7, 0)),
    }
    label = f"<title>{escape(said)}</title>"
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}">{label}</circle>'
    places = " ".join(f"{x + across:.1f},{y + down:.1f}" for across, down in corners[kind])
    return f'<polygon points="{places}" fill="{colour}">{label}</polygon>'
