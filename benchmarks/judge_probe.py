"""How well the scorer `probe` learns what people want from their labels, and whether that carries over; prints Markdown.

    python benchmarks/judge_probe.py WORK [--data DATA] [--parts ratings,preferences,damage] [--tiny]

DATA is the project's data folder, by default $ASKBACK_SHARED_DATA. WORK keeps hidden states and the scores of each draw of
folds: run it again to go on. `ratings`: OpenAssistant's ratings of first turns, none synthetic, by nested folds that keep a
conversation tree together. `preferences`: a judge taught on all of these, on other people's comparisons. `damage`: one
taught on damaged seed pairs alone, and its combination with `ifd` and `whole`.
"""

import argparse
import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np

from askback import models
from askback.curate.judge_figures import share_won
from askback.curate.linear import Examples, folds_of, measured, teach
from askback.curate.measures import auroc_at_equal_length
from askback.curate.scorers.probe import represented
from askback.curate.teach_probe import worths
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import Engine
from askback.engines.scripted import Scripted
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.recipe import EngineOptions, RecipeFile
from askback.records import Conversation, Provenance, exchange
from askback.studies.calibration import calibrate

MODEL = "builtin:smollm2-135m"
TOKENS = 1024
"""Of an output that are read, as by default."""
PIECE = 16
"""Pairs whose states are kept in one file."""
DRAWS, RESAMPLES = 20, 1000
LIKE = 1.2
"""Largest ratio of the lengths of two outputs that count as alike."""
Figures = dict[str, Any]


def rows(path: Path, limit: int | None) -> list[Figures]:
    """Return the rows of a packed JSON Lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file][:limit]


def conversation(id: str, instruction: str, output: str) -> Conversation:
    """Return a pair."""
    return Conversation(id, exchange(instruction, output), Provenance())


def engine(tiny: bool) -> Engine:
    """Return the embedded model, or, to try the script, the engine without a model."""
    if tiny:
        return Scripted()
    return TransformersLocal(str(models.resolve(MODEL)), EngineOptions())


def states(folder: Path, tiny: bool, pairs: Sequence[Conversation]) -> Any:
    """Return the states of pairs; those that are not in `folder` yet are made and kept there."""
    folder.mkdir(parents=True, exist_ok=True)
    model: Engine | None = None
    found = []
    for at in range(0, len(pairs), PIECE):
        path = folder / f"{at:05d}.npy"
        if not path.exists():
            model = model or engine(tiny)
            made = path.with_suffix(".tmp.npy")
            np.save(made, np.stack(represented(model, pairs[at : at + PIECE], TOKENS)))
            made.replace(path)
            print(f"{folder.name}: states of {min(at + PIECE, len(pairs))} of {len(pairs)}", flush=True)
        found.append(np.load(path))
    return np.concatenate(found)


def ratings(data: Path, work: Path, tiny: bool) -> Examples:
    """Return people's ratings of first turns, split at the median."""
    every = rows(data / "labels/oasst1_validation_quality.jsonl.gz", None)
    found = [row for row in every if row["first_turn"] and row["quality"] is not None][: 90 if tiny else None]
    quality = np.array([row["quality"] for row in found])
    return Examples(
        states(work / "ratings", tiny, [conversation(row["id"], row["instruction"], row["response"]) for row in found]),
        np.array(worths(list(quality))),
        quality > np.median(quality),
        np.array([row["tree"] for row in found]),
        np.array([len(row["response"]) for row in found]),
        np.full(len(found), True),
    )


def nested(found: Examples, work: Path, draws: int) -> list[Any]:
    """Return, for each draw of folds, the probability of each pair by a judge that was taught on the other folds."""
    folder = work / "draws"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for number in range(draws):
        path = folder / f"{number:02d}.npy"
        if not path.exists():
            scores = np.zeros(len(found))
            for fit_on, rest in folds_of(found, number):
                judge, _ = teach(found.at(fit_on), number)
                scores[rest] = [judge.probability(one) for one in found.states[rest]]
            np.save(path, scores)
            print(f"draw {number + 1} of {draws}", flush=True)
        drawn.append(np.load(path))
    return drawn


def show_ratings(found: Examples, drawn: Sequence[Any], resamples: int) -> None:
    """Print the mean over the draws, and the interval of the gain over length alone by resampling trees."""
    figures = [measured(scores, found.keep, found.chars) for scores in drawn]
    print(f"\n{len(found)} ratings of {len(set(found.group))} trees, {int(found.keep.sum())} above the median.\n")
    print("| | AUROC | at equal length |\n| --- | --- | --- |")
    names = ("auroc", "auroc_at_equal_length")
    cells = [f"{fmean(row[name] for row in figures):.3f} ± {stdev(row[name] for row in figures):.3f}" for name in names]
    print(f"| probe, mean over {len(drawn)} draws of the folds | {' | '.join(cells)} |")
    alone = (figures[0]["length_alone"], figures[0]["length_alone_at_equal_length"])
    print(f"| length alone | {alone[0]:.3f} | {alone[1]:.3f} |")
    random, trees = np.random.default_rng(0), sorted(set(found.group))
    places = [np.flatnonzero(found.group == tree) for tree in trees]
    own: list[float] = []
    gains: list[float] = []
    for _ in range(resamples):
        at = np.concatenate([places[number] for number in random.integers(len(trees), size=len(trees))])
        keep, chars = list(found.keep[at]), list(found.chars[at])
        value = auroc_at_equal_length(list(drawn[len(own) % len(drawn)][at]), keep, chars)
        length = auroc_at_equal_length(chars, keep, chars)
        assert value is not None and length is not None
        own.append(value)
        gains.append(value - length)
    low, high = np.quantile(own, [0.025, 0.975])
    print(f"\nAt equal length, 95 % over {resamples} resamples of trees: {low:.3f} to {high:.3f};", end=" ")
    print("minus length alone on the same pairs: {:+.3f} to {:+.3f}.".format(*np.quantile(gains, [0.025, 0.975])))


def show_preferences(data: Path, work: Path, tiny: bool, taught_on: Examples) -> None:
    """Print how often a judge that was taught on the ratings agrees with other people's comparisons, by set."""
    found = rows(data / "labels/preference_pairs.jsonl.gz", 40 if tiny else None)
    pairs = [conversation(row["id"], row["instruction"], row[f"output_{side}"]) for row in found for side in (1, 2)]
    judge, _ = teach(taught_on, 0)
    scores = [judge.probability(one) for one in states(work / "preferences", tiny, pairs)]
    lengths = [float(len(pair.output)) for pair in pairs]
    print("\n| comparisons | pairs | probe agrees | the longer output is preferred |\n| --- | --- | --- | --- |")
    sets = {name: [at for at, row in enumerate(found) if row["set"] == name] for name in {row["set"] for row in found}}
    alike = [
        at for at in range(len(found)) if max(lengths[2 * at : 2 * at + 2]) < LIKE * min(lengths[2 * at : 2 * at + 2])
    ]
    for name, places in [*sorted(sets.items()), ("all", list(range(len(found)))), ("of like length", alike)]:
        cells = []
        for values in (scores, lengths):
            ordered = [(values[2 * at], values[2 * at + 1]) for at in places]
            better = [
                one if found[at]["preference"] == 1 else (one[1], one[0])
                for one, at in zip(ordered, places, strict=True)
            ]
            cells.append("{:.3f} ({:.3f}–{:.3f})".format(*share_won(better)) if better else "")
        print(f"| {name} | {len(places)} | {' | '.join(cells)} |")


def show_damage(data: Path, work: Path, tiny: bool) -> None:
    """Print how well a judge that was taught on four kinds of damage tells all kinds, alone and with other scorers."""
    seed = [
        {"path": str(data / "seed/oasst1_train_pairs.jsonl.gz"), "split": "train", "limit": 240},
        {
            "path": str(data / "seed/oasst1_validation_messages.jsonl.gz"),
            "format": "oasst-messages",
            "split": "held-out",
        },
    ]
    tree: Figures = {
        "name": "damage",
        "recipe": {
            "seed": {"sources": seed, "max_output_chars": 600},
            "corpus": {"sources": [{"format": "installed-docs"}]},
            "judge": {"pairs": 30 if tiny else 200, "per_pair": 2, "max_chars": 600, "probes": 8 if tiny else 60},
            "score": {"scorers": ["probe", "ifd", "whole"], "max_output_tokens": 400},
            "select": {"top_fraction": 0.2},
        },
        "resources": {"runs": str(work), "engine": {"kind": "scripted" if tiny else "transformers"}},
    }
    file = RecipeFile.model_validate(tree)
    with Run(file, Progress(quiet=tiny)) as run:
        folder = calibrate(file, run, file.recipe.score, "base")
    scorers = json.loads((folder / "metrics.json").read_text("utf-8"))["scorers"]
    kinds, taught = list(scorers["probe"]["auroc"]), file.recipe.judge.kinds
    unseen = [kind for kind in kinds if kind not in (*taught, "mean")]
    print(f"\nTaught: {', '.join(taught)}.\n\n| scorer | {' | '.join(kinds)} | mean of kinds never taught |")
    print("| --- " * (len(kinds) + 2) + "|")
    for name, own in scorers.items():
        cells = [f"{own['auroc'][kind][0]:.2f}" for kind in kinds]
        print(f"| {name} | {' | '.join(cells)} | {fmean(own['auroc'][kind][0] for kind in unseen):.2f} |")


def main() -> None:
    """Make what is missing, and print."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("work", type=Path)
    given.add_argument("--data", type=Path, default=Path(os.environ.get("ASKBACK_SHARED_DATA", "shared/data")))
    given.add_argument("--parts", default="ratings,preferences,damage")
    given.add_argument("--tiny", action="store_true")
    arguments = given.parse_args()
    data, work, tiny, parts = arguments.data, arguments.work, arguments.tiny, arguments.parts.split(",")
    if {"ratings", "preferences"} & set(parts):
        found = ratings(data, work, tiny)
    if "ratings" in parts:
        show_ratings(found, nested(found, work, 2 if tiny else DRAWS), 20 if tiny else RESAMPLES)
    if "preferences" in parts:
        show_preferences(data, work, tiny, found)
    if "damage" in parts:
        show_damage(data, work, tiny)


if __name__ == "__main__":
    main()
