"""The results of an evaluation and of a scaling run on a terminal."""

from typing import Any

from rich.console import Console

from askback.report import tables
from askback.report.table import Table, show


def show_evaluation(found: dict[str, Any], console: Console) -> None:
    """Print losses, win rates, references, benchmarks and data of a run (``evaluate/summary.json``)."""
    for table in [*tables.losses(found["losses"]), *tables.answers(found), _data(found["data"])]:
        if table.rows:
            show(table, console)


def _data(sets: dict[str, Any]) -> Table:
    """Return the sizes of each set of pairs, its near-copies, and its most frequent verbs."""
    prompts = any("evaluation_prompts" in row for row in sets.values())
    rows, notes = [], []
    for name, row in sets.items():
        sizes = [f"{row[side]['mean']:,.0f} ± {row[side]['sd']:,.0f}" for side in ("instruction", "output")]
        shares = [tables.percent(row["near_copies"], 1), tables.percent(row["verbs"]["coverage"], 1)]
        found = [str(row["evaluation_prompts"])] if prompts else []
        rows.append([name, f"{row['pairs']:,}", *sizes, *shares, *found])
        if row["verbs"]["top"]:
            commonest = ", ".join(
                f"{verb} {'/'.join(n for n, _ in nouns[:2])} {count}" for verb, count, nouns in row["verbs"]["top"][:6]
            )
            notes.append(f"{name}, by {row['verbs']['by']}: {commonest}")
    heads = ["set", "pairs", "instruction", "output", "near-copies", "verb + noun found"]
    heads += ["evaluation prompts"] * prompts
    return Table("Data (characters: mean ± standard deviation)", heads, rows, notes)


def show_scaling(found: dict[str, Any], console: Console) -> None:
    """Print the points of a scaling run and the fits (``scaling/summary.json``)."""
    measures = [name for name in ("loss", "win_rate") if any(name in point for point in found["points"])]
    rows = []
    for point in found["points"]:
        numbers = [f"{point[name]:.4f}" if point.get(name) is not None else "" for name in measures]
        rows.append([point["set"], f"{point['size']:,}", *numbers])
    for table in [Table("Scaling", ["set", "examples", *measures], rows), *tables.fits(found)]:
        if table.rows:
            show(table, console)
