"""Parts of every plot: axes with round numbers, the shape, dashes and colour of each series, the legend.

Colours are classes (plot.css), from Okabe and Ito's palette, which colour-blind readers can distinguish; each series also
has its own shape or dashes, so that a plot can be read in grey.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 360, 220
"""Size of a plot in its own units; the page scales it to a phone's width."""
LEFT, RIGHT, TOP, BOTTOM = 42, 16, 14, 40
COLOURS = 6
"""Colour classes c0 to c5 in plot.css."""
DASHES = ("", "6 2", "2 2", "9 2 2 2")
SHAPES = (
    '<circle class="{k} dot {c}" cx="{x:.1f}" cy="{y:.1f}" r="{r}"{end}',
    '<path class="{k} dot {c}" d="M{x:.1f} {y:.1f}m-{r} {r}h{d}l-{r} -{d}z"{end}',
    '<path class="{k} dot {c}" d="M{x:.1f} {y:.1f}m-{r} -{r}h{d}v{d}h-{d}z"{end}',
    '<path class="{k} cross {c}" d="M{x:.1f} {y:.1f}m-{r} -{r}l{d} {d}m0 -{d}l-{d} {d}"{end}',
)


class Frame:
    """The axes of a plot: maps values to its plane."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], height: int = HEIGHT, left: int = LEFT, right: int = RIGHT
    ) -> None:
        self.x0, self.x1 = widen(*x)
        self.y0, self.y1 = widen(*y)
        self.height, self.left, self.right = height, left, WIDTH - right

    def x(self, value: float) -> float:
        """Return the distance of a value from the left."""
        return self.left + (value - self.x0) / (self.x1 - self.x0) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the distance of a value from the top."""
        return self.height - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (self.height - BOTTOM - TOP)

    def axes(
        self, x_label: str, y_label: str = "", y_ticks: bool = True, x_ticks: Sequence[tuple[float, str]] | None = None
    ) -> str:
        """Draw both axes with their labels, at round numbers or the given ticks."""
        bottom = self.height - BOTTOM
        parts = [f'<path class="axis" d="M{self.left} {TOP}V{bottom}H{self.right}"/>']
        for tick, word in x_ticks or [(tick, formatted(tick)) for tick in ticks(self.x0, self.x1)]:
            parts.append(f'<path class="axis" d="M{self.x(tick):.1f} {bottom}v3"/>')
            parts.append(f'<text x="{self.x(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{word}</text>')
        for tick in ticks(self.y0, self.y1) if y_ticks else []:
            parts.append(f'<path class="grid" d="M{self.left} {self.y(tick):.1f}H{self.right}"/>')
            parts.append(
                f'<text x="{self.left - 4}" y="{self.y(tick) + 4:.1f}" text-anchor="end">{formatted(tick)}</text>'
            )
        parts.append(f'<text class="unit" x="{(self.left + self.right) / 2:.0f}" y="{self.height - 10}"')
        parts.append(f' text-anchor="middle">{escape(x_label)}</text>')
        parts.append(f'<text class="unit" x="2" y="{TOP - 4}">{escape(y_label)}</text>')
        return "".join(parts)

    def upright(self, value: float) -> str:
        """Draw a reference value, such as chance, as a vertical line."""
        return f'<path class="against" d="M{self.x(value):.1f} {TOP}V{self.height - BOTTOM}"/>'


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return about `about` round numbers within [low, high]: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(n * step, 10) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def formatted(value: float, form: str = ",g") -> str:
    """Return a number with a true minus sign."""
    return f"{value:{form}}".replace("-", "−")


def svg(title: str, body: str, height: int = HEIGHT) -> str:
    """Return a picture with a title, which is also its description for screen readers."""
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {height}" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{body}</svg>"
    )


def alone(picture: str) -> str:
    """Return a picture of `svg` as a file of its own, on white, in the page's light colours."""
    here = Path(__file__).parent
    colours = dict(re.findall(r"--(\w+): (#\w{3,6});", (here / "page.css").read_text("utf-8").partition("@media")[0]))
    css = re.sub(r"var\(--(\w+)\)", lambda name: colours[name[1]], (here / "plot.css").read_text("utf-8"))
    start = f'<svg xmlns="http://www.w3.org/2000/svg" style="background: {colours["back"]}" '
    return picture.replace("<svg ", start, 1).replace("</title>", f"</title><style>{css}</style>", 1) + "\n"


def shape(number: int, x: float, y: float, title: str = "", radius: float = 2.5, kind: str = "mark") -> str:
    """Draw the mark of a series at a point of the plane; `title` appears on hovering."""
    drawn = SHAPES[number % len(SHAPES)]
    tag = "circle" if drawn.startswith("<circle") else "path"
    end = f"><title>{escape(title)}</title></{tag}>" if title else "/>"
    return drawn.format(k=kind, c=f"c{number % COLOURS}", x=x, y=y, r=f"{radius:g}", d=f"{2 * radius:g}", end=end)


def stroke(number: int, kind: str) -> str:
    """Return the class and the dashes of a series' line or area, as attributes."""
    dashes = DASHES[number % len(DASHES)]
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'class="{kind} c{number % COLOURS}"{dashed}'


def dot_key(number: int) -> str:
    """Draw the mark of a series for its key."""
    return shape(number, 12, 6, radius=4, kind="sign")


def line_key(number: int) -> str:
    """Draw the line of a series for its key."""
    return f'<path {stroke(number, "line")} d="M0 6H24"/>'


def area_key(number: int) -> str:
    """Draw the area of a series for its key."""
    return f'<path {stroke(number, "area")} d="M1 11V2H23V11Z"/>'


def legend(names: Sequence[str], key: Callable[[int], str]) -> str:
    """Return the legend of a plot: the mark and the name of each series."""
    keys = (
        f'<span><svg class="key" viewBox="0 0 24 12" aria-hidden="true">{key(n)}</svg>{escape(name)}</span>'
        for n, name in enumerate(names)
    )
    return f'<p class="legend">{"".join(keys)}</p>'


def bounds(values: Iterable[float]) -> tuple[float, float]:
    """Return the smallest and the largest value."""
    found = list(values)
    return min(found), max(found)


def widen(low: float, high: float) -> tuple[float, float]:
    """Return bounds that differ, also for equal values."""
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def room(low: float, high: float) -> tuple[float, float]:
    """Return bounds with a little room, so that no mark lies on the frame."""
    low, high = widen(low, high)
    return low - 0.04 * (high - low), high + 0.04 * (high - low)
