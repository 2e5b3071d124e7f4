"""Which data did this run make: one answer for everything that asks, also where M_0 is the result."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from askback.evaluate.options import Questions
from askback.execution.shards import Records
from askback.export import export
from askback.methods.humpback import humpback
from askback.recipe import RecipeFile
from askback.report.gather import gather
from askback.studies.evaluation import evaluate
from askback.studies.run_folder import chosen, data_round, finished, look
from askback.studies.sets import set_of
from tests.untrained import Untrained, write_recipe


@pytest.fixture(scope="module")
def two_rounds(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = write_recipe(tmp_path_factory.mktemp("rounds"), tiny_model).model_dump()
    tree["recipe"] |= {"rounds": 2}
    tree["recipe"]["select"]["top_fraction"] = [0.5, 0.25]
    file = RecipeFile.model_validate(tree)
    with Untrained(file) as run:
        humpback(file.recipe, run)
    return run.folder


@pytest.fixture
def seed_alone(two_rounds: Path) -> Iterator[Path]:
    """The same run with M_0 as its result; of the later models, M_1 came closer."""
    before = {}
    for step, metrics in {
        "result": {"round": 0, "enabled": True, "gates": [gate(1), gate(2)]},
        "loss-m1": {"loss": 2.1},
        "loss-m2": {"loss": 2.2},
    }.items():
        path = two_rounds / step / "step.json"
        before[path] = path.read_text()
        record = json.loads(before[path])
        record["metrics"] |= metrics
        path.write_text(json.dumps(record))
    yield two_rounds
    for path, text in before.items():
        path.write_text(text)


def gate(t: int) -> dict[str, Any]:
    return {"round": t, "against": 0, "difference": 0.1, "low": 0.05, "high": 0.15, "passed": False}


def ids(run: Path, t: int) -> set[str]:
    return {pair.id for pair in Records[Any](run / f"select-{t}", "")}


def test_the_data_are_those_that_the_result_learnt_from(two_rounds: Path) -> None:
    assert look(two_rounds).result == "m2" and data_round(two_rounds) == 2
    assert look(two_rounds).chosen == "select-2" and {pair.id for pair in chosen(two_rounds)} == ids(two_rounds, 2)
    assert len(ids(two_rounds, 2)) < len(ids(two_rounds, 1))


def test_where_m0_is_the_result_all_name_the_same_data(seed_alone: Path, tmp_path: Path) -> None:
    wanted = ids(seed_alone, 1)
    made = look(seed_alone)
    assert (made.result, made.chosen, data_round(seed_alone)) == ("m0", "select-1", 1)
    assert export(seed_alone, tmp_path / "data") == len(wanted)
    rows = pq.read_table(tmp_path / "data/train.parquet").to_pylist()
    assert {row["id"] for row in rows} == wanted
    view = gather(seed_alone)
    assert view.result is not None and view.result.data_round == 1
    assert sum(sample.kind == "chosen" for sample in view.samples) == len(wanted)
    assert len(view.texts["output"]["chosen"]) == len(wanted)
    assert evaluate(seed_alone, Questions())["data"]["chosen"]["pairs"] == len(wanted)
    with made.inside("study", None) as run:
        assert set_of("curated", made, run).folder.name == "select-1"


def test_an_unfinished_run_has_the_data_of_its_last_round(two_rounds: Path, tmp_path: Path) -> None:
    record = two_rounds / "result/step.json"
    moved = record.rename(tmp_path / "step.json")
    try:
        assert data_round(two_rounds) == 2 and look(two_rounds).result == "m2"
        assert gather(two_rounds).result is None
    finally:
        moved.rename(record)
    assert [step["step"] for step in finished(two_rounds)][-1] == "result"
