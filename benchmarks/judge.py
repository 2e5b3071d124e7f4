"""How good the embedded model is as a judge, untaught and taught, against damage and against people; prints Markdown.

    python benchmarks/judge.py DATA WORK [--small]

DATA is the project's data folder, WORK a folder that is kept: run it again to go on.
"""

import argparse
from pathlib import Path
from typing import Any

from askback.config import RecipeFile
from askback.curate.teach import make_probes, teach_judge
from askback.execution.progress import Progress
from askback.execution.run import Run
from askback.seed.load import load_seed
from askback.train.steps import train_forward


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
            "score": {"scorers": ["rubric", "additive", "ifd", "instruction"], "max_output_tokens": 400},
            "select": {"top_fraction": 0.2},
        },
        "resources": {"runs": str(work)},
    }
    return RecipeFile.model_validate(tree)


def main() -> None:
    """Train, judge, print."""
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("data", type=Path)
    given.add_argument("work", type=Path)
    given.add_argument("--small", action="store_true")
    arguments = given.parse_args()
    file = recipe(arguments.data, arguments.work, arguments.small)
    with Run(file, Progress()) as run:
        options = file.recipe
        base = run.base()
        seed = run.step("seed", load_seed, options.seed)
        taught = run.step("teach", teach_judge, options.judge, seed=seed)
        probes = run.step("probes", make_probes, options.judge, seed=seed)
        run.step("taught", train_forward, options.forward, base=base, examples=[seed, taught])


if __name__ == "__main__":
    main()
