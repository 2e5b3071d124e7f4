"""The paper's comparisons on public data, at a size that can be had: the loop, then a study of what its data are worth.

    python benchmarks/reproduction.py DATA WORK [--size laptop|gpu|full] [--base MODEL [--chat-template FILE]] [--plan]
    python benchmarks/reproduction.py DATA WORK --random-seed 1 --sittings benchmarks/reproduction.jsonl

DATA is the project's data folder, WORK a folder that is kept: run it again to go on. Tables of docs/results.md are printed
as Markdown; the figures are in WORK/NAME/study. Needs no network, a model folder or the embedded model apart.

A laptop takes some two hours for the loop and one training of each set. So a sitting has a random seed of its own and adds
its figures to the file `--sittings`, whose table is printed: what differs between sittings is then the whole loop.
"""

import argparse
import gzip
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

from askback.evaluate.difference import student_t
from askback.execution.progress import Progress
from askback.plan import running
from askback.recipe import RecipeFile
from askback.report import tables
from askback.report.pictures import write_figures
from askback.report.table import Table
from askback.studies.study import FOLDER, Study, planned, study

CONTROLS = ("seed+curated", "seed+random", "seed+swapped")
EVERY = (*CONTROLS, "seed+uncurated", "curated", "uncurated", "seed", "seed+round-1", "seed+round-2")


@dataclass(frozen=True)
class Size:
    """How much of everything: pairs of the seed, unused pairs to measure on, segments, tokens of a row, how each model is
    trained (beside the rates of `RATES`), rounds, what the study trains, and the most pairs of a kind that are measured."""

    pairs: int
    unused: int
    segments: int | None
    max_tokens: int
    training: dict[str, Any]
    rounds: int
    sets: tuple[str, ...]
    seeds: int = 3
    engine: Literal["transformers", "scripted"] = "transformers"
    measured_tokens: int | None = None


RATES = {"learning_rate": 5e-5, "final_learning_rate": 4.5e-5}
UPPER = {"trained_layers": 10, "batch_size": 8, "steps": 40, "learning_rate": 2e-4, "final_learning_rate": 1e-4}
"""Training in half the time: ten of the embedded model's thirty layers, four in five of 400 pairs."""
SIZES = {
    "tiny": Size(12, 4, 24, 256, {"steps": 1}, 1, CONTROLS, 2, "scripted"),
    "laptop": Size(400, 914, 440, 256, UPPER, 1, CONTROLS, seeds=1, measured_tokens=256),
    "gpu": Size(400, 814, 440, 512, {"steps": 100}, 2, EVERY),
    "full": Size(2000, 814, None, 2048, {}, 2, EVERY),
}


def recipe(
    size: Size, name: str, base: str, data: Path, work: Path, chat_template: str = "", random_seed: int = 0
) -> RecipeFile:
    """Return the recipe of the loop, with its held-out pairs and human sets written to `work`."""
    pairs = _rows(data / "seed/oasst1_train_pairs.jsonl.gz")
    held_out = _write(work / "unused.jsonl", itertools.islice(pairs, size.pairs, size.pairs + size.unused))
    asked = _write(work / "user-oriented.jsonl", _instances(data / "eval/self_instruct_user_oriented_252.jsonl"))
    training = {"max_tokens": size.max_tokens, **RATES, **size.training}
    tree: dict[str, Any] = {
        "name": name,
        "recipe": {
            "base": base,
            "chat_template": chat_template,
            "random_seed": random_seed,
            "seed": {
                "sources": [
                    {"path": str(data / "seed/oasst1_train_pairs.jsonl.gz"), "limit": size.pairs, "split": "train"},
                    {"path": str(held_out), "split": "held-out"},
                    {
                        "path": str(data / "seed/oasst1_validation_messages.jsonl.gz"),
                        "format": "oasst-messages",
                        "split": "held-out",
                    },
                ]
            },
            "corpus": {
                "sources": [{"format": "warc", "path": str(data / "corpus/web-sample.warc.gz")}],
                "limit": size.segments,
            },
            "backward": training,
            "augment": {"max_new_tokens": 80, "max_document_tokens": size.max_tokens},
            "forward": training,
            "rounds": size.rounds,
            "judge": {"check": False},
            "score": {"scorers": ["ifd", "whole"], "max_output_tokens": 1024},
            "select": {"top_fraction": 0.25},
            "evaluate": {
                "max_tokens": size.measured_tokens or min(1024, 2 * size.max_tokens),
                "tags": [],
                "sets": [
                    {"name": "self-instruct-175", "path": str(data / "seed/self_instruct_seed_175.jsonl.gz")},
                    {"name": "user-oriented-252", "path": str(asked)},
                ],
            },
        },
        "resources": {"runs": str(work), "engine": {"kind": size.engine}},
    }
    return RecipeFile.model_validate(tree)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from map(json.loads, file)


def _instances(path: Path) -> Iterator[dict[str, str]]:
    """Yield the tasks of Self-Instruct's user-oriented set as pairs, an input below its instruction."""
    for row in _rows(path):
        one = row["instances"][0]
        yield {"instruction": "\n\n".join(filter(None, (row["instruction"], one["input"]))), "output": one["output"]}


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


def markdown(table: Table) -> str:
    """Return a table as Markdown, its notes below it."""
    head = [f"| {' | '.join(table.heads)} |", f"| {' | '.join('---' for _ in table.heads)} |"]
    return "\n".join(
        [f"**{table.title}**", "", *head, *(f"| {' | '.join(row)} |" for row in table.rows), "", *table.notes]
    )


def of_mean(values: list[float]) -> str:
    """Return the mean of several runs with its 95 % interval, Student's."""
    reach = student_t(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return f"{mean(values):+.4f} ({mean(values) - reach:+.4f} to {mean(values) + reach:+.4f})"


def told_apart(values: list[float], runs: int) -> float:
    """Return the difference that `runs` runs tell apart with probability 0.8, by the spread of `values`."""
    degrees = len(values) - 1
    return (student_t(0.975, degrees) + student_t(0.8, degrees)) * stdev(values) / math.sqrt(runs)


def add_sitting(path: Path, sitting: dict[str, Any]) -> list[dict[str, Any]]:
    """Write a sitting's figures to a file of them, in place of those of the same kind and random seed; return all of its
    kind."""
    kind = ("size", "base", "random_seed")
    rows = [*_rows(path)] if path.exists() else []
    rows = [row for row in rows if any(row[name] != sitting[name] for name in kind)] + [sitting]
    rows.sort(key=lambda row: [str(row[name]) for name in kind])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [row for row in rows if all(row[name] == sitting[name] for name in kind[:2])]


def of_sittings(sittings: list[dict[str, Any]]) -> Table:
    """Return the table of several sittings: of each comparison, the mean difference, and what as many tell apart."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in (row for one in sittings for row in one["contrasts"]):
        found.setdefault((f"{row['set']} − {row['against']}", row["measure"]), []).append(row["difference"])
    rows = [
        [
            sets,
            measure,
            *(f"{value:+.4f}" for value in values),
            of_mean(values),
            f"{told_apart(values, len(values)):.4f}",
        ]
        for (sets, measure), values in found.items()
    ]
    seeds = [f"random seed {one['random_seed']}" for one in sittings]
    return Table("Sittings", ["sets", "on", *seeds, "mean (95 % of sittings)", "told apart at 80 %"], rows)


def main() -> None:
    """Make the run and its study, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=SIZES, default="laptop")
    parser.add_argument("--base", default="builtin:smollm2-135m")
    parser.add_argument("--chat-template", default="", help="of a base model that has none: builtin:inst, or a file")
    parser.add_argument("--random-seed", type=int, default=0, help="of the whole loop; a sitting has one of its own")
    parser.add_argument("--sittings", type=Path, help="file that this sitting's figures are added to")
    parser.add_argument("--plan", action="store_true", help="make the run, and say what the study will take")
    given = parser.parse_args()
    size, progress = SIZES[given.size], Progress()
    data, work = given.data.resolve(), given.work.resolve()
    name = f"{given.size}-{given.random_seed}"
    wanted_recipe = recipe(size, name, given.base, data, work, given.chat_template, given.random_seed)
    folder = running.run(wanted_recipe, progress=progress)
    wanted = Study(sets=size.sets, seeds=size.seeds)
    progress.say(f"study: {planned(folder, wanted)}")
    if given.plan:
        return
    found = study(folder, wanted, progress)
    for table in tables.study(found):
        if table.rows:
            print(markdown(table), end="\n\n")
    if given.sittings:
        kind = {"size": given.size, "base": given.base, "random_seed": given.random_seed}
        sittings = add_sitting(given.sittings, {**kind, "points": found["points"], "contrasts": found["contrasts"]})
        if len(sittings) > 1:
            print(markdown(of_sittings(sittings)), end="\n\n")
    print("Figures:", *write_figures(folder / FOLDER, found))


if __name__ == "__main__":
    main()
