"""Documents that are set aside: whole ones, whole sites where there are many, and never all."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from askback.augment.write import write_instructions, write_unseen
from askback.corpus.build import SITES, drop_duplicates
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Augment, Corpus, RecipeFile
from askback.records import Provenance, Segment, record_id


def segment(uri: str, number: int) -> Segment:
    text = " ".join(f"word{number}x{at}of{uri}" for at in range(40))
    return Segment(record_id(uri, str(number)), text, ["A"], Provenance(uri, "warc", language="en"))


URIS: list[str] = []


@recorded(version=1)
def given(step: Step, options: Corpus) -> Records[Any]:
    outcome = Outcome[Any]()
    for uri in URIS:
        for number in range(3):
            outcome.keep("segments", segment(uri, number))
    return step.write(Segment, [outcome])


def recipe(folder: Path, **corpus: Any) -> RecipeFile:
    tree = {
        "seed": {"sources": [{"path": "builtin:demo"}]},
        "corpus": {"sources": [{"format": "text", "path": "x"}], **corpus},
    }
    resources = {"runs": str(folder), "engine": {"kind": "scripted"}}
    return RecipeFile.model_validate({"name": "run", "recipe": tree, "resources": resources})


def unique(folder: Path, uris: list[str], **corpus: Any) -> list[Segment]:
    URIS[:] = uris
    file = recipe(folder, **corpus)
    with Run(file) as run:
        segments = run.step("given", given, file.recipe.corpus)
        return list(run.step("dedup", drop_duplicates, file.recipe.corpus, segments=segments))


def sides(found: list[Segment], key: Any) -> dict[str, set[Any]]:
    by_group: dict[str, set[Any]] = defaultdict(set)
    for one in found:
        by_group[key(one.provenance.uri)].add(one.split)
    return by_group


def test_whole_documents_are_set_aside(tmp_path: Path) -> None:
    found = unique(tmp_path, [f"http://a.org/{number}" for number in range(100)], held_out=0.2)
    groups = sides(found, str)
    assert all(len(split) == 1 for split in groups.values()) and len(found) == 300
    aside = sum(split == {"held-out"} for split in groups.values())
    assert 8 <= aside <= 35
    step = json.loads((tmp_path / "run/dedup/step.json").read_text())
    assert step["metrics"]["held-out segments"] == 3 * aside


def test_whole_sites_are_set_aside_where_there_are_many(tmp_path: Path) -> None:
    uris = [f"http://site{site}.org/{number}" for site in range(SITES + 10) for number in range(3)]
    found = unique(tmp_path, uris, held_out=0.3)
    groups = sides(found, lambda uri: uri.split("/")[2])
    assert all(len(split) == 1 for split in groups.values())
    assert {"train"} in groups.values() and {"held-out"} in groups.values()


@pytest.mark.parametrize(("uris", "share"), [(["a"], 1.0), (["a", "b"], 0.0)])
def test_there_is_always_something_to_train_on(uris: list[str], share: float, tmp_path: Path) -> None:
    assert {one.split for one in unique(tmp_path, uris, held_out=share)} == {"train"}


def test_each_side_has_its_own_limit(tmp_path: Path) -> None:
    uris = [f"page {number}" for number in range(60)]
    found = unique(tmp_path, uris, held_out=0.3, limit=30, held_out_limit=7)
    splits = [one.split for one in found]
    assert (splits.count("train"), splits.count("held-out")) == (30, 7)
    whole = unique(tmp_path / "whole", uris, held_out=0.3)
    assert {one.id: one.split for one in found}.items() <= {one.id: one.split for one in whole}.items()


def test_instructions_are_written_for_either_side_alone(tmp_path: Path) -> None:
    URIS[:] = [f"page {number}" for number in range(30)]
    file = recipe(tmp_path, held_out=0.3)
    model = Model(Path(), "scripted", "")
    with Run(file) as run:
        segments = run.step("given", given, file.recipe.corpus)
        found = run.step("dedup", drop_duplicates, file.recipe.corpus, segments=segments)
        train = run.step("augment", write_instructions, Augment(), model=model, segments=found)
        aside = run.step("ask-unseen", write_unseen, Augment(), model=model, segments=found)
    split: dict[str, str] = {one.id: one.split for one in found}
    for candidates, side in ((train, "train"), (aside, "held-out")):
        ids = {one.messages[-1].segment_id for one in candidates}
        assert ids and {split[id] for id in ids} == {side}
        counts = json.loads((candidates.folder / "step.json").read_text())["counts"]["instructions"]
        assert counts["entered"] == list(split.values()).count(side)
