"""Plots as SVG text: no library in the page, nothing fetched, readable on a phone, in print and in the dark.

Colours are classes (page.css), and each series has a shape or a label of its own beside its colour (Okabe and Ito's
palette, which colour-blind readers can tell apart). Every text that comes from outside is escaped.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 360, 220
"""Of a plot, in its own units; the page scales it to a phone's width."""
LEFT, RIGHT, TOP, BOTTOM = 42, 16, 14, 40
COLOURS = 6
"""Colour classes c0 to c5 in page.css."""


class Frame:
    """The axes of a plot: maps values to its plane."""

    def __init__(self, x: tuple[float, float], y: tuple[float, float], height: int = HEIGHT, left: int = LEFT) -> None:
        self.x0, self.x1 = _widen(*x)
        self.y0, self.y1 = _widen(*y)
        self.height, self.left = height, left

    def x(self, value: float) -> float:
        """Return where a value is, from the left."""
        return self.left + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - RIGHT - self.left)

    def y(self, value: float) -> float:
        """Return where a value is, from the top."""
        return self.height - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (self.height - BOTTOM - TOP)

    def axes(self, x_label: str, y_label: str = "", y_ticks: bool = True) -> str:
        """Draw both axes with round numbers and what they count."""
        bottom = self.height - BOTTOM
        parts = [f'<path class="axis" d="M{self.left} {TOP}V{bottom}H{WIDTH - RIGHT}"/>']
        for tick in ticks(self.x0, self.x1):
            parts.append(f'<text x="{self.x(tick):.1f}" y="{bottom + 13}" text-anchor="middle">{tick:g}</text>')
        for tick in ticks(self.y0, self.y1) if y_ticks else []:
            parts.append(f'<path class="grid" d="M{self.left} {self.y(tick):.1f}H{WIDTH - RIGHT}"/>')
            parts.append(f'<text x="{self.left - 4}" y="{self.y(tick) + 3:.1f}" text-anchor="end">{tick:g}</text>')
        parts.append(f'<text x="{(self.left + WIDTH) / 2:.0f}" y="{self.height - 12}" text-anchor="middle">')
        parts.append(f"{escape(x_label)}</text>")
        parts.append(f'<text x="2" y="{TOP - 4}">{escape(y_label)}</text>')
        return "".join(parts)


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return about so many round numbers within [low, high]: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(n * step, 10) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def histogram(title: str, series: Mapping[str, Sequence[float]], x_label: str, bins: int = 24) -> str:
    """Draw how values are spread, as shares of each series so that sets of unlike size can be compared."""
    values = [value for found in series.values() for value in found]
    if not values:
        return ""
    low, high = _widen(min(values), max(values))
    shares = {name: _shares(found, low, high, bins) for name, found in series.items() if found}
    frame = Frame((low, high), (0, max(max(found) for found in shares.values())))
    width = (high - low) / bins
    marks = []
    for number, (name, found) in enumerate(shares.items()):
        steps = "".join(
            f"V{frame.y(share):.1f}H{frame.x(low + width * (at + 1)):.1f}" for at, share in enumerate(found)
        )
        path = f"M{frame.x(low):.1f} {frame.y(0):.1f}{steps}V{frame.y(0):.1f}"
        dashes = ' stroke-dasharray="5 2"' if number % 2 else ""
        marks.append(
            f'<path class="mark area c{number % COLOURS}"{dashes} d="{path}"><title>{escape(name)}</title></path>'
        )
    return _svg(title, frame.axes(x_label, "share of records") + "".join(marks)) + _legend(list(shares))


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Draw series of (x, y) points, joined."""
    points = [point for found in series.values() for point in found]
    if not points:
        return ""
    frame = Frame(_bounds(x for x, _ in points), _bounds(y for _, y in points))
    marks = []
    for number, (name, found) in enumerate(series.items()):
        path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in found)
        dashes = f' stroke-dasharray="{4 * number} 2"' if number else ""
        marks.append(
            f'<path class="mark line c{number % COLOURS}"{dashes} d="M{path}"><title>{escape(name)}</title></path>'
        )
    return _svg(title, frame.axes(x_label, y_label) + "".join(marks)) + _legend(list(series))


def intervals(title: str, rows: Sequence[tuple[str, float, float, float]], x_label: str) -> str:
    """Draw (label, value, low, high), a row each: a dot and its interval."""
    if not rows:
        return ""
    height = TOP + BOTTOM + 22 * len(rows)
    left = min(160, 14 + 7 * max(len(label) for label, *_ in rows))
    frame = Frame(_bounds(x for _, *found in rows for x in found), (0, len(rows)), height, left)
    marks = []
    for number, (label, value, low, high) in enumerate(rows):
        y = TOP + 22 * number + 11
        told = f"{label}: {value:.4f} ({low:.4f} to {high:.4f})"
        marks.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{escape(label)}</text>')
        marks.append(f'<path class="mark line c0" d="M{frame.x(low):.1f} {y}H{frame.x(high):.1f}"/>')
        marks.append(f'<circle class="mark dot c0" cx="{frame.x(value):.1f}" cy="{y}" r="4">')
        marks.append(f"<title>{escape(told)}</title></circle>")
    return _svg(title, frame.axes(x_label, y_ticks=False) + "".join(marks), height)


SHAPES = (
    '<circle class="mark dot {c}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>',
    '<path class="mark dot {c}" d="M{x:.1f} {y:.1f}m-3 3h6l-3 -6z"/>',
    '<path class="mark dot {c}" d="M{x:.1f} {y:.1f}m-2.5 -2.5h5v5h-5z"/>',
    '<path class="mark line {c}" d="M{x:.1f} {y:.1f}m-2 -2l4 4m0 -4l-4 4"/>',
)


def scatter(title: str, points: Sequence[tuple[float, float, str]], x_label: str, y_label: str) -> str:
    """Draw (x, y, group): each group has its colour and its shape."""
    if not points:
        return ""
    groups = sorted({group for *_, group in points})
    frame = Frame(_bounds(x for x, *_ in points), _bounds(y for _, y, _ in points))
    marks = []
    for x, y, group in points:
        number = groups.index(group)
        marks.append(SHAPES[number % len(SHAPES)].format(c=f"c{number % COLOURS}", x=frame.x(x), y=frame.y(y)))
    return _svg(title, frame.axes(x_label, y_label) + "".join(marks)) + _legend(groups)


def sunburst(title: str, tree: Mapping[str, Mapping[str, int]]) -> str:
    """Draw counts by an inner word (a verb) and the outer words (its nouns) beside it, as rings of shares."""
    total = sum(sum(leaves.values()) for leaves in tree.values())
    if not total:
        return ""
    marks, turn = [], 0.0
    ordered = sorted(tree.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    for number, (word, leaves) in enumerate(ordered):
        size = sum(leaves.values())
        marks.append(_sector(word, size, turn, size / total, 40, 95, number % COLOURS))
        at = turn
        for leaf, count in sorted(leaves.items(), key=lambda item: (-item[1], item[0])):
            marks.append(_sector(leaf, count, at, count / total, 97, 165, number % COLOURS))
            at += count / total
        turn += size / total
    return _svg(title, f'<g transform="translate({WIDTH / 2} 175)">' + "".join(marks) + "</g>", 350)


def _sector(word: str, count: int, start: float, share: float, inner: int, outer: int, colour: int) -> str:
    share = min(share, 0.9999)  # an arc that ends where it began is none
    a, b = (2 * math.pi * turn - math.pi / 2 for turn in (start, start + share))
    large = int(share > 0.5)
    path = (
        f"M{inner * math.cos(a):.1f} {inner * math.sin(a):.1f}L{outer * math.cos(a):.1f} {outer * math.sin(a):.1f}"
        f"A{outer} {outer} 0 {large} 1 {outer * math.cos(b):.1f} {outer * math.sin(b):.1f}"
        f"L{inner * math.cos(b):.1f} {inner * math.sin(b):.1f}A{inner} {inner} 0 {large} 0 "
        f"{inner * math.cos(a):.1f} {inner * math.sin(a):.1f}Z"
    )
    told = f'<path class="mark sector c{colour}" d="{path}"><title>{escape(word)}: {count:,}</title></path>'
    if share < 0.015:
        return told
    middle = (a + b) / 2
    angle = math.degrees(middle)
    angle += 180 if math.cos(middle) < 0 else 0
    x, y = ((inner + outer) / 2 * part for part in (math.cos(middle), math.sin(middle)))
    return (
        f'{told}<text class="on" text-anchor="middle" dominant-baseline="middle" '
        f'transform="translate({x:.1f} {y:.1f}) rotate({angle:.1f})">{escape(word[:12])}</text>'
    )


def _svg(title: str, body: str, height: int = HEIGHT) -> str:
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {height}" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def _legend(names: Sequence[str]) -> str:
    keys = (f'<span class="key"><i class="c{n % COLOURS}"></i>{escape(name)}</span>' for n, name in enumerate(names))
    return f'<p class="legend">{"".join(keys)}</p>'


def _shares(values: Sequence[float], low: float, high: float, bins: int) -> list[float]:
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / (high - low) * bins))] += 1
    return [count / len(values) for count in counts]


def _bounds(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)


def _widen(low: float, high: float) -> tuple[float, float]:
    """Return bounds that are apart, however alike the values are."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)
