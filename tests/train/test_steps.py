"""The training steps: what they teach, and that every example is counted."""

import json
import math
from pathlib import Path
from typing import Any

from askback.execution.run import Run
from askback.execution.shards import Records, write_records
from askback.recipe import Backward, RecipeFile
from askback.records import Example
from askback.seed.load import load_seed
from askback.train.steps import taught_by, train_backward
from tests.train.examples import example, examples


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


def test_a_seed_that_is_given_twice_is_learnt_twice_by_ids_of_its_own(tmp_path: Path) -> None:
    """Batches are drawn by ids, so copies of one id would share a batch."""
    given = [*examples(4), example(9, split="held-out")]
    write_records(tmp_path / "kept-00000.parquet", Example, given)
    seed = Records[Example](tmp_path, "seed")
    once, twice = taught_by([seed]), taught_by([seed, seed])
    assert once == twice[:4] == given[:4]
    assert [one.messages for one in twice[4:]] == [one.messages for one in once]
    assert len({one.id for one in twice}) == 8 and twice == taught_by([seed, seed])
