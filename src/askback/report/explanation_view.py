"""What the rules make of one file, on a terminal."""

from rich.console import Console
from rich.table import Table

from askback.corpus.explain import Explained, Explanation
from askback.report.plain import shown

_STYLES = {"kept": "green", "dropped": "red"}


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
    console.print(_table(found.rows))
    if found.bare_headers:
        names = ", ".join(map(repr, found.bare_headers))
        console.print(f"Headers without text, left out: {names}", highlight=False, markup=False)
    kept = [row for row in found.rows if row.verdict == "kept"]
    total = sum(row.characters for row in kept)
    console.print(f"{len(kept):,} kept, {total:,} characters. Duplicates are not looked for here.", highlight=False)


def _table(rows: list[Explained]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("section", overflow="fold", ratio=2)
    table.add_column("characters", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("why", overflow="fold", ratio=3)
    top = min((row.level for row in rows), default=1)
    for row in rows:
        title = (
            "(text before the next header)" if row.lead else f"{'#' * row.level} {row.header or '(no header)'}".strip()
        )
        indent = "  " * (row.level - top + row.lead)
        style = _STYLES.get(row.verdict, "dim")
        why = f"{row.rule}: {row.detail}" if row.rule else ""
        verdict = f"[{style}]{row.verdict}[/{style}]"
        table.add_row(indent + shown(title), f"{row.characters:,}", verdict, shown(why))
    return table
