"""The page: which steps a recipe has, and what it leaves out; a round that chooses the same pairs takes over its model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from askback.cli import app
from askback.evaluate.options import Questions
from askback.execution.identity import Model, StepFunction, given
from askback.execution.shards import Records
from askback.export import export
from askback.methods import page_of
from askback.methods.humpback import humpback
from askback.owned import sha256
from askback.plan import Plan
from askback.plan.running import run
from askback.recipe import EngineOptions, Engines, RecipeFile, Resources
from askback.recipe import Recipe as RecipeOptions
from askback.report.html import write_report
from askback.studies.evaluation import evaluate
from askback.train import steps
from tests.untrained import write_recipe

SERVER = EngineOptions(kind="openai_http", url="http://127.0.0.1:9/v1", model="strong")


class Names:
    """Steps that are only named."""

    def __init__(self, engines: Engines) -> None:
        self.resources = Resources(engines=engines)
        self.made: dict[str, dict[str, Any]] = {}
        self.functions: dict[str, StepFunction[Any, Any, Any]] = {}

    def base(self) -> Model:
        return Model(Path(), "base", "base")

    def server(self, role: str) -> Model | None:
        engine = self.resources.engine_for(role)
        return Model(Path(), engine.model, "") if engine.kind == "openai_http" else None

    def has(self, records: Records[Any]) -> bool:
        return False

    def step(self, name: str, function: Any, options: Any, *args: Any, **inputs: Any) -> Any:
        self.made[name], self.functions[name] = given(inputs), function
        if function.output == "model":
            return Model(Path(name), name, name)
        return Records[Any](Path(name), name)


CORPUS: dict[str, Any] = {"sources": [{"format": "text", "path": "t"}]}


def recipe(**changed: Any) -> RecipeOptions:
    given = {"seed": {"sources": [{"path": "s"}]}, "corpus": CORPUS}
    return RecipeOptions.model_validate({**given, **changed})


def walked(options: RecipeOptions, engines: Engines) -> tuple[Names, Model | Records[Any]]:
    names = Names(engines)
    return names, humpback(options, names)


def test_the_papers_loop() -> None:
    names, result = walked(recipe(judge={"check": False}), Engines())
    written = ["seed", "segment", "dedup", "natural", "backward", "augment", "ask-unseen", "rate-unseen"]
    written += ["unseen", "loss-base", "unseen-base", "beside-base"]
    loop = [f"{step}{t}" for t in (1, 2) for step in ("score-", "select-", "m", "loss-m", "unseen-m", "beside-m")]
    assert list(names.made) == [*written, "m0", "loss-m0", "unseen-m0", "beside-m0", *loop, "result"]
    assert isinstance(result, Model) and result.id == "result"
    assert page_of(recipe()) is humpback


@pytest.mark.parametrize("use", ["held-out", "seed", "none"])
def test_natural_pairs_are_measured_on_and_learnt_from_by_choice(use: str) -> None:
    names, _ = walked(recipe(natural={"use": use}), Engines())
    assert ("natural" in names.made) == (use != "none")
    measured, learnt = use != "none", use == "seed"
    assert all(("natural" in names.made[step]) == measured for step in ("ask-unseen", "rate-unseen"))
    assert ("natural" in names.made["augment"]) == learnt
    for training in ("backward", "m0", "m1", "m2"):
        assert ("natural" in [one.folder.name for one in names.made[training]["examples"]]) == learnt


def test_natural_pairs_are_not_looked_for_where_nothing_is_measured_on_them() -> None:
    assert "natural" not in walked(recipe(corpus=CORPUS | {"held_out": 0}), Engines())[0].made
    assert "natural" not in walked(recipe(forward=None, rounds=1), Engines())[0].made


def test_every_model_is_measured_on_further_sets_and_the_gate_does_not_see_them() -> None:
    sets = [{"name": "tasks", "path": "tasks.jsonl"}]
    names, _ = walked(recipe(evaluate={"sets": sets}, corpus=CORPUS | {"held_out": 0}), Engines())
    assert [one.folder.name for one in names.made["set-tasks"]["taught"]] == ["seed", "augment"]
    for model in ("base", "m0", "m1", "m2"):
        assert [one.folder.name for one in names.made[f"beside-{model}"]["sets"]] == ["set-tasks"]
        assert "counting" not in names.made[f"beside-{model}"] and f"unseen-{model}" not in names.made
    assert not [one for one in names.made["result"]["losses"] if "beside" in one.folder.name]
    with pytest.raises(ValidationError, match="two are named tasks"):
        recipe(evaluate={"sets": sets * 2})
    for taken in ("held-out", "size"):
        with pytest.raises(ValidationError, match=f"name: {taken} is taken"):
            recipe(evaluate={"sets": [{"name": taken, "path": "tasks.jsonl"}]})


def test_another_set_leaves_what_is_measured_as_it_is() -> None:
    one, more = recipe().evaluate, recipe(evaluate={"sets": [{"name": "x", "path": "x.jsonl"}]}).evaluate
    assert one.measuring == more.measuring and "sets" not in more.measuring.model_dump()


def test_no_backward_model_is_trained_where_a_server_writes() -> None:
    names, _ = walked(recipe(), Engines(augment=SERVER))
    assert "backward" not in names.made and "m0" in names.made
    assert names.made["augment"]["model"].id == "strong"


@pytest.mark.parametrize("score, judge", [(SERVER, "strong"), (None, "base")])
def test_without_forward_the_chosen_pairs_are_the_result(score: EngineOptions | None, judge: str) -> None:
    names, result = walked(recipe(forward=None, rounds=1), Engines(augment=SERVER, score=score))
    trained = [name for name in names.made if name in ("backward", "m0", "m1", "result") or name.startswith("loss")]
    assert not trained
    assert list(names.made)[-1] == "select-1"
    assert isinstance(result, Records) and result.folder == Path("select-1")
    assert names.made["score-1"]["model"].id == judge


@pytest.mark.parametrize(
    "changed, said",
    [({"rounds": 2}, "rounds must be 1"), ({"rounds": 1, "judge": {"examples": "contrast"}}, "leave it untaught")],
)
def test_what_a_model_that_is_not_trained_cannot_do(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        recipe(forward=None, **changed)


def test_a_run_without_a_training_gives_data(tmp_path: Path, tiny_model: Path) -> None:
    """The scripted engine, as a server would, writes and judges; the base judges where none is named."""
    file = write_recipe(tmp_path, tiny_model)
    tree = file.model_dump()
    tree["recipe"] |= {"forward": None, "rounds": 1}
    tree["recipe"]["backward"] |= {"steps": 1, "batch_size": 1, "max_tokens": 512}
    file = RecipeFile.model_validate(tree)
    planned = [step.name for step in Plan(file).steps]
    folder = run(file)
    made = {path.parent.name for path in folder.glob("*/step.json")}
    assert made == set(planned) and "select-1" in made and not made & {"m0", "m1", "loss-base", "result"}
    assert export(folder, tmp_path / "data") == len(Records[Any](folder / "select-1", ""))
    assert "no model was trained" in (tmp_path / "data/README.md").read_text()
    write_report([folder], tmp_path / "report.html")
    found = evaluate(folder, Questions())
    assert found["models"].keys() == {"base"} and found["data"]["chosen"]["pairs"] == len(
        Records[Any](folder / "select-1", "")
    )
    for command in ("status", "evaluate"):
        shown = CliRunner().invoke(app, [command, str(folder)])
        assert shown.exit_code == 0, shown.output


@pytest.mark.timeout(600)
def test_a_round_that_chooses_the_same_takes_over_its_model(tmp_path: Path, tiny_model: Path) -> None:
    tree = write_recipe(tmp_path, tiny_model).model_dump()
    tree["recipe"] |= {"rounds": 3}
    tree["recipe"]["select"]["top_fraction"] = [1.0, 1.0, 0.5]
    tree["recipe"]["forward"] |= {"steps": 20, "batch_size": 4}  # an epoch: a few steps may see no pair that is new
    tree["recipe"]["backward"] |= {"steps": 1, "batch_size": 1, "max_tokens": 512}
    folder = run(RecipeFile.model_validate(tree))
    metrics = {t: json.loads((folder / f"m{t}/step.json").read_text())["metrics"] for t in (1, 2, 3)}
    assert metrics[2].pop("taken_over").startswith("m1-") and metrics[2] == metrics[1]
    assert "taken_over" not in metrics[3]
    for form in ("model", "model-bfloat16"):
        one, two, three = (sha256(folder / f"m{t}/{form}/model.safetensors") for t in (1, 2, 3))
        assert one == two != three
    counts = {t: json.loads((folder / f"m{t}/step.json").read_text())["counts"] for t in (1, 2)}
    assert counts[1] == counts[2]


def test_a_judges_score_of_a_pair_is_not_learnt(made_run: Path) -> None:
    pairs = list(Records[Any](made_run / "select-1", ""))
    again = [replace(pair, score=pair.score + 1) for pair in pairs]
    assert pairs != again and steps._unscored(pairs) == steps._unscored(again)
    assert steps._unscored(pairs) != steps._unscored([replace(pair, quality="1 of 2") for pair in pairs])
    assert steps._unscored(pairs) != steps._unscored(pairs[:-1])
