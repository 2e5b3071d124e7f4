"""What bfloat16 keeps of a training: python benchmarks/rounding.py RECIPE [--set KEY=VALUE]

The recipe's seed is loaded and M_0 trained, as `askback run` would (a run folder that has them is used as it is, with its
later models). Held-out losses are then measured of the float32 checkpoint, of the same in bfloat16 rounded to nearest, and
of its bfloat16 form under three random seeds, all with float32 arithmetic, so that the weights alone differ. What is kept
is the gain over the base model, as a share of that in float32.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from askback.engines.local.loading import load
from askback.engines.worker_context import WorkerContext
from askback.evaluate.loss import measure_piece
from askback.execution.identity import MODEL, Model
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.recipe import HeldOut, Resources
from askback.recipe.file import load_recipe
from askback.records import Example
from askback.seed.load import load_seed
from askback.train.rounding import write_bfloat16
from askback.train.steps import train_forward

SEEDS = (0, 1, 2)


class Trained(Run):
    """A run of the seed and M_0 alone."""

    def begin(self) -> None:
        """Check nothing: other steps of the run folder are not looked at."""


def loss(folder: Path, options: HeldOut, examples: list[Example]) -> float:
    """Return nats per token of a model folder's weights, with arithmetic in float32 whatever they are."""
    resources = Resources.model_validate({"engine": {"dtype": "float32"}})
    kept = measure_piece(options, resources, Model(folder, "", ""), WorkerContext(), examples).kept
    return float(sum(one.nats for one in kept) / sum(one.tokens for one in kept))


def losses(checkpoint: Path, options: HeldOut, examples: list[Example]) -> Iterator[tuple[str, float]]:
    """Yield the loss of every form of a trained model, with the form's name."""
    yield "float32", loss(checkpoint, options, examples)
    with TemporaryDirectory() as scratch:
        model, tokenizer = load(checkpoint, torch.bfloat16)
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        yield "bfloat16, nearest", loss(Path(scratch), options, examples)
    for seed in SEEDS:
        with TemporaryDirectory() as scratch:
            form = Path(scratch) / "form"
            write_bfloat16(checkpoint, form, seed, checkpoint.parent.name)
            yield f"bfloat16, stochastic, seed {seed}", loss(form, options, examples)


def main() -> None:
    """Train what is missing, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    given = parser.parse_args()
    file = load_recipe(given.recipe, given.changes)
    recipe = file.recipe
    with Trained(file, Progress()) as run:
        base = run.base()
        seed = run.step("seed", load_seed, recipe.seed)
        run.step("m0", train_forward, recipe.training, base=base, examples=[seed])
    examples = [one for one in seed if one.split == "held-out"]
    start = loss(base.path, recipe.evaluate, examples)
    print(f"base: {start:.4f}, {len(examples)} pairs\n")
    print("| model | weights | nats per token | gain kept |\n| --- | --- | ---: | ---: |")
    for folder in sorted(path.parent for path in run.folder.glob("m*/step.json")):
        gain = 0.0
        for name, nats in losses(folder / MODEL, recipe.evaluate, examples):
            gain = gain or start - nats
            print(f"| {folder.name} | {name} | {nats:.4f} | {(start - nats) / gain:.1%} |", flush=True)


if __name__ == "__main__":
    main()
