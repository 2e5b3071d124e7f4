"""How good the embedded model is as a judge, untaught and taught, against damage and against people; prints Markdown.

    python benchmarks/judge.py DATA WORK [--small]

DATA is the project's data folder, WORK a folder that is kept: run it again to go on.
"""

import argparse
import gzip
import json
from pathlib import Path
from typing import Any

from askback.curate.agreement import spearman
from askback.curate.combine import combine
from askback.curate.damage import KINDS
from askback.curate.judge_figures import good_from, halves, point_aurocs
from askback.curate.measures import separation
from askback.curate.teach import teach_judge
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.recipe import Labels, RecipeFile
from askback.records import Example, Lesson, draw
from askback.seed.load import load_seed
from askback.studies.calibration import calibrate
from askback.train.steps import train_forward

PLAIN_STEPS = 30
"""An epoch of the seed, as the taught model has of its examples."""


def recipe(data: Path, work: Path, small: bool) -> RecipeFile:
    """Return what is trained and tried: OpenAssistant's training pairs, and its validation pairs held out."""
    chars = 600  # with the rubric, 512 tokens at most
    training = {"learning_rate": 1e-4, "final_learning_rate": 5e-5, "max_tokens": 512}
    tree: dict[str, Any] = {
        "name": "small" if small else "full",
        "recipe": {
            "seed": {
                "sources": [
                    {"path": str(data / "seed/oasst1_train_pairs.jsonl.gz"), "split": "train", "limit": 240},
                    {
                        "path": str(data / "seed/oasst1_validation_messages.jsonl.gz"),
                        "format": "oasst-messages",
                        "split": "held-out",
                    },
                ],
                "max_output_chars": chars,
            },
            "corpus": {"sources": [{"format": "installed-docs"}]},
            "forward": {**training, "steps": 2 if small else 80},
            "judge": {
                "examples": "contrast",
                "pairs": 20 if small else 200,
                "per_pair": 1,
                "max_chars": chars,
                "probes": 8 if small else 60,
            },
            "score": {"scorers": ["rubric", "additive", "ifd", "instruction", "whole"], "max_output_tokens": 400},
            "select": {"top_fraction": 0.2, "weights": {"rubric": 1, "ifd": 1, "whole": 1}},
        },
        "resources": {"runs": str(work)},
    }
    return RecipeFile.model_validate(tree)


def ratings(data: Path, folder: Path, count: int, chars: int) -> Path:
    """Write a seeded sample of the human ratings as labelled pairs: first turns that fit, never trained on."""
    with gzip.open(data / "labels/oasst1_validation_quality.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    rows = [row for row in rows if row["first_turn"] and row["quality"] is not None]
    rows = [row for row in rows if len(row["instruction"]) + len(row["response"]) <= chars]
    rows.sort(key=lambda row: draw(0, "ratings", row["id"]))
    lines = [
        json.dumps({"instruction": row["instruction"], "output": row["response"], "rating": row["quality"]})
        for row in rows[:count]
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ratings.jsonl"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def show(title: str, folder: Path, kinds: dict[str, int]) -> None:
    """Print a judge's tables."""
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    columns = [*kinds, "mean"]
    print(f"\n## {title}\n\nAUROC over {metrics['pairs']} held-out pairs (95 % interval).\n")
    print("| scorer | " + " | ".join(columns) + " | s per 1,000 |\n" + "| --- " * (len(columns) + 2) + "|")
    for name, figures in metrics["scorers"].items():
        cells = ["{:.2f} ({:.2f}–{:.2f})".format(*figures["auroc"][kind]) for kind in columns]
        print(f"| {name} | " + " | ".join(cells) + f" | {figures.get('seconds_per_1000', '')} |")
    print(
        f"\nAgainst {metrics['labelled']} human ratings, and the best-scored fifth of them, or what is nearest to it.\n"
    )
    print("| scorer | AUROC | Spearman | Kendall | chosen | precision | recall | length |\n" + "| --- " * 8 + "|")
    for name, figures in metrics["scorers"].items():
        found = figures["labels"]
        row = min(found["thresholds"], key=lambda row: abs(row["chosen"] - 0.2))
        cells = ["{:.2f} ({:.2f}–{:.2f})".format(*value) for value in (found["auroc"], row["precision"], row["recall"])]
        print(
            f"| {name} | {cells[0]} | {found['spearman']:+.2f} | {found['kendall']:+.2f} | {row['chosen']:.2f} | "
            f"{cells[1]} | {cells[2]} | "
            f"{figures['length']:+.2f} |"
        )
    print(by_length(folder))
    best = metrics["recommended"]
    print(
        f"\nBest weights on one half of the pairs: {best['weights']}, mean AUROC {best['auroc_chosen_on']:.3f}; on the "
        f"other half {best['auroc_on_the_rest']:.3f}. On that other half, by kind:\n"
    )


def by_length(folder: Path) -> str:
    """Return the row of what no judge is needed for: the human ratings against the output's length."""
    rated = {one.id: one for one in Records[Any](folder / "labels", "")}
    labels = {id: one.label or 0.0 for id, one in rated.items()}
    lengths = {id: float(len(one.output)) for id, one in rated.items()}
    good = good_from(list(labels.values()))
    better, rest = ({id: lengths[id] for id in rated if (labels[id] >= good) is side} for side in (True, False))
    auroc, low, high = separation(better, {"rest": rest}, 0)["rest"]
    ranks = spearman(list(lengths.values()), list(labels.values()))
    return f"| the length alone | {auroc:.2f} ({low:.2f}–{high:.2f}) | {ranks:+.2f} | | | | | |"


def show_rest(folder: Path, weights: dict[str, int], kinds: dict[str, int]) -> None:
    """Print the AUROCs of each scorer and of the weights on the half of the pairs that the weights were not chosen on."""
    probes = [probe for name in ("probes", "labels") for probe in Records[Any](folder / name, "")]
    judged = [one for part in sorted(folder.glob("*-*")) for one in Records[Any](part, "")]
    good = good_from([probe.label for probe in probes if probe.label is not None])
    _, rest = halves(probes, 0)
    ids = {probe.id for probe in rest}
    judged = [one for one in judged if one.candidate_id in ids]
    columns = [*kinds, "labelled"]
    print("| scorer | " + " | ".join(columns) + " |\n" + "| --- " * (len(columns) + 1) + "|")
    alone = {name: {name: 1} for name in sorted({one.scorer for one in judged})}
    for name, chosen in {**alone, "all alike": dict.fromkeys(alone, 1), "chosen weights": weights}.items():
        found = point_aurocs(rest, combine(judged, chosen), good)
        print(f"| {name} | " + " | ".join(f"{found[kind]:.2f}" for kind in columns) + " |")


def main() -> None:
    """Train, judge, print."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("data", type=Path)
    given.add_argument("work", type=Path)
    given.add_argument("--small", action="store_true")
    arguments = given.parse_args()
    file = recipe(arguments.data, arguments.work, arguments.small)
    options = file.recipe
    path = ratings(arguments.data, arguments.work, 20 if arguments.small else 160, options.judge.max_chars)
    folders = {}
    with Run(file, Progress()) as run:
        base = run.base()
        seed = run.step("seed", load_seed, options.seed)
        teaching = run.step("teach", teach_judge, options.judge.teaching(), seed=seed)
        taught: dict[str, list[Records[Example | Lesson]]] = {"taught": [seed, teaching], "plain": [seed]}
        for name, examples in taught.items():
            steps = options.training.steps if name == "taught" else PLAIN_STEPS
            training = options.training.model_copy(update={"steps": 2 if arguments.small else steps})
            run.step(name, train_forward, training, base=base, examples=examples)
            folders[name] = calibrate(file, run, options.score, name, Labels(path=str(path)))
    held_out = [kind for kind in KINDS if kind not in options.judge.kinds]
    print(f"Taught: {', '.join(options.judge.kinds)}. Never taught: {', '.join(held_out)}.")
    for name, title in {"plain": "M_0, not taught to judge", "taught": "M_0, taught to judge"}.items():
        show(title, folders[name], dict.fromkeys(KINDS, 0))
        weights = json.loads((folders[name] / "metrics.json").read_text("utf-8"))["recommended"]["weights"]
        show_rest(folders[name], weights, dict.fromkeys(KINDS, 0))


if __name__ == "__main__":
    main()
