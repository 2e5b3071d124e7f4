"""The training steps: what they teach, and that every example is counted."""

import json
import math
from pathlib import Path
from typing import Any

from askback.execution.run import Run
from askback.execution.shards import Records
from askback.recipe import Backward, RecipeFile
from askback.seed.load import load_seed
from askback.train.steps import train_backward


def test_refusals_are_taught_beside_the_seed(tiny_model: Path, tmp_path: Path) -> None:
    tree = {
        "base": str(tiny_model),
        "seed": {"sources": [{"path": "builtin:demo", "limit": 40}], "held_out": 0.2},
        "corpus": {"sources": [{"format": "installed-docs"}]},
        "backward": {"steps": 1, "batch_size": 2, "max_tokens": 512, "refusals": 0.1},
    }
    file = RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": {"runs": str(tmp_path)}})
    assert isinstance(file.recipe.backward, Backward)
    with Run(file) as run:
        base = run.base()
        seed = run.step("seed", load_seed, file.recipe.seed)
        run.step("backward", train_backward, file.recipe.backward, base=base, examples=[seed])
    step = json.loads((run.folder / "backward/step.json").read_text())
    taught = sum(pair.split == "train" for pair in Records[Any](run.folder / "seed", ""))
    assert taught < 40 and step["counts"]["examples"]["entered"] == taught + math.ceil(0.1 * taught)
