"""The one model of a table, for a page and for a terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.table import Table as Grid

from askback.report.plain import shown


@dataclass(frozen=True)
class Table:
    """A table of plain text; the first cell of a row says what the row is of, `notes` speak of all.

    `align` has one letter a column, "l" for words and "r" for numbers; columns that it leaves out hold numbers. `total`
    says that the last row sums up the others.
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
    """How a terminal shows a table: cells by their text (rich's styles), and the columns that share what room is left."""

    cells: Mapping[str, str] = field(default_factory=dict)
    wide: Mapping[int, int] = field(default_factory=dict)
    """Column → its share of the room."""


def show(table: Table, console: Console, styles: Styles = Styles()) -> None:
    """Print a table and its notes; what has no room is folded, and nothing is cut."""
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
