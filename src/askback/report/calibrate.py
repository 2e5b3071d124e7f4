"""A calibration on a terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from askback.curate.check import MEAN
from askback.curate.levels import Spread, said


def show_calibration(folder: Path, metrics: dict[str, Any], console: Console) -> None:
    """Print how each scorer tells good pairs from bad ones, the thresholds of the best, and what is recommended."""
    taught = set(metrics["taught"])
    console.print(
        f"Judge {metrics['model']}, on {metrics['pairs']:,} held-out pairs and {metrics['labelled']:,} rated ones.",
        highlight=False,
    )
    table = _table("AUROC: how often a true pair scores above a damaged one (95 % interval; 0.5 is chance)", ["kind"])
    scorers = metrics["scorers"]
    for name in scorers:
        table.add_column(name, justify="right")
    kinds = dict.fromkeys(kind for figures in scorers.values() for kind in figures["auroc"])
    for kind in sorted(kinds, key=lambda kind: kind == MEAN):
        label = f"{kind} (not taught)" if taught and kind not in (*taught, MEAN) else kind
        table.add_row(label, *(_interval(figures["auroc"].get(kind)) for figures in scorers.values()))
    for key, title in (("auroc", "rated good"), ("spearman", "  Spearman"), ("kendall", "  Kendall")):
        if any("labels" in figures for figures in scorers.values()):
            table.add_row(title, *(_interval(figures.get("labels", {}).get(key)) for figures in scorers.values()))
    console.print(table)
    _show_habits(scorers, console)
    for one in (one for figures in scorers.values() for one in figures.get("spread", [])):
        console.print(f"Scores of true pairs, {said(Spread(**one))}.", highlight=False, markup=False)
    best = metrics["recommended"]
    for what, rows in _threshold_tables(scorers):
        _show_thresholds(what, rows, console)
    if best is None:
        console.print("Too few pairs to recommend weights.", highlight=False)
    else:
        _show_recommended(best, console)
    console.print(f"All figures: {folder / 'metrics.json'}", highlight=False)


def _show_recommended(best: dict[str, Any], console: Console) -> None:
    weights = ", ".join(f"{name}: {weight:g}" for name, weight in best["weights"].items())
    console.print(
        f"Recommended: score.scorers [{', '.join(best['weights'])}], select.weights {{{weights}}}. Mean AUROC "
        f"{best['auroc_chosen_on']:.2f} on the half they were chosen on, {best['auroc_on_the_rest']:.2f} on the other.",
        highlight=False,
        markup=False,
    )
    if best["threshold"]:
        row = best["threshold"]
        console.print(
            f"A threshold of {row['threshold']:.3f} takes {row['chosen']:.0%} of these; of them {_share(row['precision'])} "
            f"are true pairs. On a corpus, take a fraction rather than a threshold: its share of good pairs is another.",
            highlight=False,
        )


def _show_habits(scorers: dict[str, Any], console: Console) -> None:
    table = _table(
        "Habits", ["scorer", "unscored", "with length", "s per 1,000", "digits, true pairs", "digits, scrambled words"]
    )
    for name, figures in scorers.items():
        digits = figures.get("digits", {})
        length = "" if figures["length"] is None else f"{figures['length']:+.2f}"
        table.add_row(
            name,
            f"{figures['unscored']:.1%}",
            length,
            f"{figures['seconds_per_1000']:,.0f}" if "seconds_per_1000" in figures else "",
            *(" ".join(f"{share:.2f}" for share in digits.get(kind, [])) for kind in ("true", "scrambled")),
        )
    console.print(table)


def _threshold_tables(scorers: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    name = "combined" if "combined" in scorers else next(iter(scorers))
    figures = scorers[name]
    found = [(f"{name}: true pairs among true and damaged ones", figures["thresholds"])]
    if "labels" in figures:
        from_label = figures["labels"]["good_from"]
        found.append((f"{name}: pairs rated {from_label:g} or better", figures["labels"]["thresholds"]))
    return found


def _show_thresholds(what: str, rows: list[dict[str, Any]], console: Console) -> None:
    table = _table(what, ["threshold", "taken", "precision", "recall"])
    for row in rows:
        table.add_row(
            f"{row['threshold']:.3f}", f"{row['chosen']:.0%}", _share(row["precision"]), _share(row["recall"])
        )
    console.print(table)


def _table(title: str, columns: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold")
    for at, name in enumerate(columns):
        table.add_column(name, justify="right" if at else "left", no_wrap=not at)
    return table


def _interval(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:+.2f}"
    return f"{value[0]:.2f} ({value[1]:.2f}–{value[2]:.2f})"


def _share(value: list[float]) -> str:
    return f"{value[0]:.0%} ({value[1]:.0%}–{value[2]:.0%})"
