"""Is the choice worth anything? The paper's central claim, in small: python benchmarks/curation.py RUN

Beside a run's own models, trained on the seed and the pairs it chose, this trains two more, with the same steps and from
the same base model: on the seed and as many pairs drawn at random from all candidates, and on the seed and all of them.
Held-out losses are compared in pairs. It goes on where it was killed; --only NAME makes one of the two.
"""

import argparse
import json
from itertools import combinations
from pathlib import Path
from typing import Any

from askback.evaluate.difference import loss_difference
from askback.evaluate.loss import measure_loss
from askback.evaluate.options import Subset
from askback.execution.progress import Progress
from askback.execution.shards import Records
from askback.records import Loss
from askback.studies.run_folder import RunFolder, look, side_by_side
from askback.studies.scaling import take
from askback.train.steps import train_forward

CONFIDENCE = 0.95


def others(made: RunFolder, only: str) -> dict[str, list[Loss]]:
    """Train and measure the models that the run's own are compared with."""
    options = made.file.recipe.training
    assert options.steps, "equal steps need recipe.training.steps"
    candidates = made.records("augment")
    judgements = [_finished(made, name) for name in ("teach", "ranked") if (made.folder / name / "step.json").exists()]
    found = {}
    for name in [only] if only else ["random", "uncurated"]:
        size = len(candidates if name == "uncurated" else made.records("select-1"))
        with made.inside(f"curation-{name}", Progress()) as run:
            seed = made.records("seed")
            pairs = side_by_side(run, "take", take, Subset(size=size), examples=candidates)
            model = side_by_side(
                run, "train", train_forward, options, base=made.base, examples=[seed, pairs, *judgements]
            )
            found[name] = list(
                side_by_side(run, "loss", measure_loss, made.file.recipe.evaluate, model=model, examples=seed)
            )
    return found


def _finished(made: RunFolder, name: str) -> Records[Any]:
    record = json.loads((made.folder / name / "step.json").read_text("utf-8"))
    return Records[Any](made.folder / name, record["fingerprint"])


def show(losses: dict[str, list[Loss]]) -> None:
    """Print every model's loss, and the difference of every two with its interval."""
    print("| model | held-out loss, nats per token |\n| --- | ---: |")
    for name, own in losses.items():
        print(f"| {name} | {sum(loss.nats for loss in own) / sum(loss.tokens for loss in own):.4f} |")
    print("\n| against | difference | 95 % interval |\n| --- | ---: | --- |")
    for before, after in combinations(losses, 2):
        found = loss_difference(losses[before], losses[after], CONFIDENCE)
        print(f"| {after} against {before} | {found.difference:+.4f} | {found.low:+.4f} to {found.high:+.4f} |")


def main() -> None:
    """Train what is missing, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--only", choices=["random", "uncurated"], default="")
    given = parser.parse_args()
    made = look(given.run)
    trained = others(made, given.only)
    own = {name: list(made.records(f"loss-{name}")) for name in made.models if f"loss-{name}" in made.steps}
    show(own | trained)


if __name__ == "__main__":
    main()
