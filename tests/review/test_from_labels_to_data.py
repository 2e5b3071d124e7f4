"""The way from labels to data, as README has it, with labels by a rule that the judge does not know."""

import json
from pathlib import Path
from typing import Any

import yaml

from askback.curate.label_file import NAME, pair_of, split_of
from askback.curate.labels import teaching
from askback.execution.shards import Records, rejections
from askback.records import Candidate
from tests.commands import askback
from tests.untrained import as_prompted, write_recipe


def done(*arguments: object) -> str:
    said = askback(*arguments)
    assert said.returncode == 0, said.stderr
    return said.stdout


def test_labels_measure_the_judge_and_decide_what_is_exported(tiny_model: Path, tmp_path: Path) -> None:
    file = as_prompted(
        write_recipe(tmp_path, tiny_model), seed=True, base=str(tiny_model), select={"top_fraction": 0.5}
    )
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(file.as_written()))
    done("run", recipe)
    run = tmp_path / "runs/made"
    candidates: list[Candidate] = list(Records(run / "augment", ""))

    # People want what has an even number of letters, and have read two pairs in three.
    def wanted(one: Candidate) -> bool:
        return len(one.output) % 2 == 0

    read = candidates[: 2 * len(candidates) // 3]
    rows = [
        {"instruction": one.instruction, "output": one.output, "label": "good" if wanted(one) else "bad"}
        for one in read
    ]
    (tmp_path / "read.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert f"{len(read)} labels added" in done("review", run, "--labels", tmp_path / "read.jsonl", "--as", "ada")
    labels = run / NAME
    assert {one.pair for one in teaching(labels)} == {
        pair for one in read if split_of(pair := pair_of(one.messages)) == "dev"
    }

    figures = json.loads(done("calibrate", recipe, "--labels", labels, "--scorers", "whole", "--json"))
    assert figures["labelled"] == len(read) and figures["scorers"]["whole"]["labels"]["good_from"] == 5

    done("run", recipe, "--set", f"recipe.select.labels={labels}", "--redo", "select-1")
    assert "pairs in" in done("export", run, "--out", tmp_path / "data", "--file-type", "jsonl")
    exported = [json.loads(line) for line in (tmp_path / "data/train.jsonl").read_text().splitlines()]
    ids = {row["id"]: row for row in exported}
    good, bad = ({one.id for one in read if wanted(one) is side} for side in (True, False))
    assert good <= set(ids) and not bad & set(ids)
    half = -(-len(candidates) // 2)
    assert len(ids) == min(max(len(good), half), len(candidates) - len(bad))
    assert {id for id, row in ids.items() if row["human_reviewed"]} == good
    reviewed: list[Any] = [drop for drop in rejections(run / "select-1") if drop.rule == "reviewed"]
    assert {drop.id for drop in reviewed} == bad
