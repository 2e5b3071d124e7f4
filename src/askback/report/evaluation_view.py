"""The results of an evaluation and of a study on a terminal."""

from typing import Any

from rich.console import Console

from askback.report import tables
from askback.report.table import Table, show


def show_evaluation(found: dict[str, Any], console: Console) -> None:
    """Print losses, win rates, references, benchmarks and data of a run (``evaluate/summary.json``)."""
    for table in [tables.losses(found["losses"]), *tables.answers(found), _data(found["data"])]:
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


def show_study(found: dict[str, Any], console: Console) -> None:
    """Print a study (``study/summary.json``)."""
    for table in tables.study(found):
        if table.rows:
            show(table, console)
