"""The model of a table, for the HTML page and the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.table import Table as Grid

from askback.report.plain import shown


@dataclass(frozen=True)
class Table:
    """A table of plain text; the first cell of a row is its name, `notes` are about the whole table.

    `align` has one letter per column, "l" for words and "r" for numbers; columns beyond it hold numbers. `total`: the last
    row is the sum of the others.
    """

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    align: str = "l"
    total: bool = False

    def left(self, column: int) -> bool:
        """Return whether a column, counted from 0, holds words."""
        return self.align[column : column + 1] == "l"


@dataclass(frozen=True)
class Styles:
    """How a terminal shows a table: rich's styles of cells by their text, and the columns that share the free width."""

    cells: Mapping[str, str] = field(default_factory=dict)
    wide: Mapping[int, int] = field(default_factory=dict)
    """Column → its share of the room."""


def show(table: Table, console: Console, styles: Styles = Styles()) -> None:
    """Print a table and its notes; long cells are folded, and nothing is cut."""
    grid = Grid(title=shown(table.title), title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for number, head in enumerate(table.heads):
        side: Literal["left", "right"] = "left" if table.left(number) else "right"
        grid.add_column(shown(head), justify=side, overflow="fold", ratio=styles.wide.get(number))
    for row in table.rows:
        bold = "bold" if table.total and row is table.rows[-1] else None
        grid.add_row(*(_cell(cell, styles) for cell in row), style=bold)
    console.print(grid)
    for note in table.notes:
        console.print(f"  {note}", highlight=False, markup=False)


def _cell(text: str, styles: Styles) -> str:
    style = styles.cells.get(text)
    return f"[{style}]{shown(text)}[/{style}]" if style else shown(text)
