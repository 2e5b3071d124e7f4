"""The paper's comparisons on public data, at a size that can be had: the loop, then a study of what its data are worth.

    python benchmarks/reproduction.py DATA WORK [--size laptop|gpu|full] [--base MODEL [--chat-template FILE]] [--plan]

DATA is the project's data folder, WORK a folder that is kept: run it again to go on. Tables of docs/results.md are printed
as Markdown; the figures are in WORK/NAME/study. Needs no network, a model folder or the embedded model apart.
"""

import argparse
import gzip
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
    measured: int | None = None


RATES = {"learning_rate": 5e-5, "final_learning_rate": 4.5e-5}
UPPER = {"trained_layers": 10, "batch_size": 8, "steps": 40, "learning_rate": 2e-4, "final_learning_rate": 1e-4}
"""Training in half the time: ten of the embedded model's thirty layers, four in five of 400 pairs."""
SIZES = {
    "tiny": Size(12, 4, 24, 256, {"steps": 1}, 1, CONTROLS, 2, "scripted"),
    "laptop": Size(400, 814, 440, 256, UPPER, 1, CONTROLS, measured=400),
    "gpu": Size(400, 814, 440, 512, {"steps": 100}, 2, EVERY),
    "full": Size(2000, 814, None, 2048, {}, 2, EVERY),
}


def recipe(size: Size, name: str, base: str, data: Path, work: Path, chat_template: str = "") -> RecipeFile:
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
                "max_tokens": min(1024, 2 * size.max_tokens),
                "tags": [],
                "limit": size.measured,
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


def main() -> None:
    """Make the run and its study, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=SIZES, default="laptop")
    parser.add_argument("--base", default="builtin:smollm2-135m")
    parser.add_argument("--chat-template", default="", help="of a base model that has none: builtin:inst, or a file")
    parser.add_argument("--plan", action="store_true", help="make the run, and say what the study will take")
    given = parser.parse_args()
    size, progress = SIZES[given.size], Progress()
    data, work = given.data.resolve(), given.work.resolve()
    folder = running.run(recipe(size, given.size, given.base, data, work, given.chat_template), progress=progress)
    wanted = Study(sets=size.sets, seeds=size.seeds)
    progress.say(f"study: {planned(folder, wanted)}")
    if given.plan:
        return
    found = study(folder, wanted, progress)
    for table in tables.study(found):
        if table.rows:
            print(markdown(table), end="\n\n")
    print("Figures:", *write_figures(folder / FOLDER, found))


if __name__ == "__main__":
    main()
