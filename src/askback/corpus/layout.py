"""How lists, quotations, code and tables are set as Markdown."""

import re
from dataclasses import dataclass
from itertools import chain

_LANGUAGE = re.compile(r"(?:language-|lang-|highlight-(?:source-)?|brush:\s*|sourceCode |\bcode )([a-z][\w+#.-]*)")
_NO_LANGUAGE = {"default", "text", "none", "plain", "plaintext", "literal-block", "notranslate", "block", "highlight"}


@dataclass(slots=True, eq=False)
class Container:
    """A list, list item, quotation or definition that is open: what it puts before its first line and its others."""

    kind: str
    first: str = ""
    rest: str = ""
    pending: bool = False
    number: int = 0

    def silence(self) -> None:
        """Put nothing before what follows."""
        self.first = self.rest = ""
        self.pending = False


def set_lines(lines: list[str], containers: list[Container]) -> str:
    """Return the lines of a block as they stand inside `containers`; list marks are used up."""
    first = "".join([container.first if container.pending else container.rest for container in containers])
    for container in containers:
        container.pending = False
    if len(lines) == 1:
        return first + lines[0]
    rest = "".join([container.rest for container in containers])
    return "\n".join([first + lines[0], *[(rest + line).rstrip() for line in lines[1:]]])


def glue(before: list[Container], now: list[Container]) -> str:
    """Return what separates a block from the one before it, each given its containers.

    Items of a list follow line by line; all else is separated by a blank line, which goes on with the marks of a
    quotation both stand in.
    """
    shared = 0
    for one, other in zip(before, now, strict=False):
        if one is not other:
            break
        shared += 1
    for place, container in enumerate(now):
        if container.pending:
            follows = shared >= place > 0 or (shared == place - 1 and place >= 2 and now[place - 2].kind == "li")
            if follows:
                return "\n"
            break
    quoted = "".join([container.rest for container in now[:shared]]).rstrip()
    return f"\n{quoted}\n" if quoted else "\n\n"


def fence(code: str, attributes: str) -> list[str]:
    """Return a code block, with the language that a class in `attributes` names."""
    longest = max(map(len, re.findall(r"`{3,}", code)), default=2)
    found = _LANGUAGE.search(attributes)
    language = found[1] if found and found[1] not in _NO_LANGUAGE else ""
    ticks = "`" * (longest + 1)
    return [ticks + language, *(line.rstrip() for line in code.split("\n")), ticks]


class Table:
    """A table of data, while it is read."""

    LONG_CELL, LONG_CELLS = 300, 0.25
    """A cell of more characters is long; a table with more than this share of long cells only lays out its prose."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []

    def add(self, cell: str) -> None:
        """Add a cell to the last row."""
        if not self.rows:
            self.rows.append([])
        self.rows[-1].append(cell)

    def blocks(self) -> list[list[str]]:
        """Return the table as one block of lines, or each of its cells as one where a grid would not help."""
        rows = [row for row in self.rows if any(row)]
        width = max(map(len, rows), default=0)
        cells = [cell for cell in chain.from_iterable(rows) if cell]
        long = sum(len(cell) > self.LONG_CELL for cell in cells)
        if width < 2 or len(rows) < 2 or long > self.LONG_CELLS * len(cells):
            return [[cell] for cell in cells]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in self._fill(row, width)) + " |" for row in rows]
        return [[lines[0], "|" + " --- |" * width, *lines[1:]]]

    @staticmethod
    def _fill(row: list[str], width: int) -> list[str]:
        return row + [""] * (width - len(row))
