"""The labels of a run on a terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console

from askback.methods import names


def show_labels(path: Path, found: dict[str, Any], console: Console) -> None:
    """Print how many labels there are, how far people agree, and how the labels are used."""

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)

    people = ", ".join(f"{by} {count:,}" for by, count in found["people"].items())
    say(f"\nLabels of {found['pairs']:,} pairs ({people or 'none yet'}), {found['comparisons']:,} comparisons.")
    for two, one in found["kappa"].items():
        if one["kappa"] is not None:
            say(f"{two}: Cohen's kappa {one['kappa']:.2f} over {one['pairs']:,} pairs.")
    if found["alpha"] is not None:
        say(f"Krippendorff's alpha {found['alpha']:.2f}.")
    if again := found["repeats"]["pairs"]:
        say(f"Asked again, {found['repeats']['same']:,} of {again:,} came out the same.")
    if found["damaged"]:
        say(f"{found['damaged']:,} lines of {path} cannot be read and count for nothing.")
    if found["pairs"]:
        say(f"Next:  askback calibrate RECIPE --labels {path}")
        say(f"       select: {{labels: {path}}} in the recipe, and: askback run RECIPE --redo {names.choice(1)}")
