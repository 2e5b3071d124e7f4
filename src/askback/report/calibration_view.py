"""A calibration on a terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console

from askback.curate.levels import Spread, described
from askback.report import tables
from askback.report.table import show


def show_calibration(folder: Path, metrics: dict[str, Any], console: Console) -> None:
    """Print how well each scorer separates good pairs from bad ones, the thresholds of the best, and recommendations."""
    console.print(
        f"Judge {metrics['model']}, on {metrics['pairs']:,} held-out pairs, {metrics['labelled']:,} rated ones and "
        f"{metrics.get('compared', 0):,} comparisons.",
        highlight=False,
    )
    show(tables.aurocs(metrics), console)
    show(tables.habits(metrics), console)
    for one in (one for figures in metrics["scorers"].values() for one in figures.get("spread", [])):
        console.print(f"Scores of true pairs, {described(Spread(**one))}.", highlight=False, markup=False)
    if metrics.get("curve"):
        show(tables.learning(metrics), console)
    best = metrics["recommended"]
    for table in tables.thresholds(metrics):
        show(table, console)
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
        value, low, high = row["precision"]
        console.print(
            f"A threshold of {row['threshold']:.3f} takes {row['chosen']:.0%} of these; of them "
            f"{value:.0%} ({low:.0%} to {high:.0%}) are true pairs. "
            f"On a corpus, take a fraction rather than a threshold: its share of good pairs is another.",
            highlight=False,
        )
