"""What the rules make of one file, on a terminal."""

from rich.console import Console

from askback.corpus.explain import Explained, Explanation
from askback.report.table import Styles, Table, show

_COLOURS = {"kept": "green", "dropped": "red"}


def show_explanation(found: Explanation, console: Console) -> None:
    """Print the header tree of a document, and beside each header what became of its section, and why."""
    licence = found.licence or "licence not stated"
    console.print(f"{found.path}: {found.markup or 'not read'}, {licence}", highlight=False, markup=False)
    if found.left_out:
        rules = ", ".join(f"{rule} {characters:,}" for rule, characters in found.left_out.items())
        console.print(f"Characters left out as no part of the text, by rule: {rules}", highlight=False, markup=False)
    if found.rule:
        console.print(f"dropped as a whole: {found.rule} {found.detail}", highlight=False, markup=False)
        return
    if found.before_headers:
        console.print(f"{found.before_headers:,} characters before the first header are in no section", highlight=False)
    show(_table(found.rows), console, Styles(_COLOURS, wide={0: 2, 3: 3}))
    if found.bare_headers:
        names = ", ".join(map(repr, found.bare_headers))
        console.print(f"Headers without text, left out: {names}", highlight=False, markup=False)
    kept = [row for row in found.rows if row.verdict == "kept"]
    total = sum(row.characters for row in kept)
    console.print(f"{len(kept):,} kept, {total:,} characters. Duplicates are not looked for here.", highlight=False)


def _table(rows: list[Explained]) -> Table:
    cells = []
    top = min((row.level for row in rows), default=1)
    for row in rows:
        header = f"{'#' * row.level} {row.header or '(no header)'}".strip()
        title = "(text before the next header)" if row.lead else header
        if row.part:
            title = f"(part {row.part} of {'that text' if row.lead else 'this section'})"
        indent = "  " * (row.level - top + row.lead + (row.part > 0))
        why = f"{row.rule}: {row.detail}" if row.rule else ""
        cells.append([indent + title, f"{row.characters:,}", row.verdict, why])
    return Table("", ["section", "characters", "", "why"], cells, align="lrll")
