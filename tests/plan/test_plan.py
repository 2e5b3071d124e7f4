"""What is forecast, against what a tiny run then takes; how fast things go; what they cost."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.engines.usage import Tokens
from askback.execution.budget import Spent
from askback.execution.forecast import Ruler
from askback.models.size import parameters
from askback.plan import Plan
from askback.plan.machine import CPU, PerSecond
from askback.plan.rates import Rates
from askback.recipe.file import load_recipe
from tests.commands import askback
from tests.test_smoke_run import write_inputs

CHANGES = ["recipe.rounds=1", "recipe.corpus.held_out=0"]
"""Of so few documents, how many are set aside is drawn by where they lie."""
ONE_ROUND = [word for change in CHANGES for word in ("--set", change)]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(scope="module")
def made(recipe: Path) -> Path:
    done = askback("run", recipe, *ONE_ROUND)
    assert done.returncode == 0, done.stderr
    return recipe.parent / "runs/smoke"


def forecast(run: Path) -> dict[str, Any]:
    return json.loads((run / "forecast.json").read_text())["steps"]  # type: ignore[no-any-return]


@pytest.mark.timeout(600)
def test_tokens_are_forecast_within_a_quarter(made: Path) -> None:
    steps = {path.parent.name: json.loads(path.read_text()) for path in made.glob("*/step.json")}
    asked = ["augment", "score-1", "loss-base", "loss-m0", "loss-m1", "backward", "m0", "m1"]
    # How many kinds of damage cannot be done to pairs as short as these is not foreseen, so the probes are fewer.
    assert {name for name, step in steps.items() if step["tokens"]} == {*asked, "probe-1"}
    for name in asked:
        foreseen = sum(forecast(made)[name]["tokens"].values())
        assert foreseen == pytest.approx(steps[name]["tokens"], rel=0.25), name
        assert forecast(made)[name]["seconds"] > 0


@pytest.mark.timeout(600)
def test_of_a_finished_run_is_told_what_it_made(made: Path, recipe: Path) -> None:
    steps = {step.name: step for step in Plan(load_recipe(recipe, CHANGES)).steps}
    records = {path.parent.name: json.loads(path.read_text()) for path in made.glob("*/step.json")}
    assert steps.keys() == records.keys() and {step.state for step in steps.values()} == {"done"}
    for name, record in records.items():
        found, counts = steps[name].forecast, record["counts"]
        assert found.entered == next(iter(counts.values()))["entered"] and not any(found.tokens), name
        if record["identity"]["function"] not in ("train_backward", "train_forward", "keep_best"):
            assert found.made.count + found.made.held_out == list(counts.values())[-1]["kept"], name
    assert len(steps["seed"].forecast.made.tried) == records["seed"]["metrics"]["held_out"] > 0
    models = {file.stat().st_ino: file.stat().st_size for file in made.glob("*/model*/*")}
    held = sum(step.forecast.model_bytes for step in steps.values())
    assert held == pytest.approx(sum(models.values()), abs=4 * len(models)), "a model that is linked counts once"


@pytest.mark.timeout(600)
def test_status_shows_what_was_forecast_beside_what_it_took(made: Path) -> None:
    found = json.loads(askback("status", str(made), "--json").stdout)
    by_name = {step["step"]: step for step in found["steps"]}
    score = by_name["score-1"]
    assert score["forecast"]["tokens"]["prompt"] > 0 and score["tokens"] > 0
    assert found["spent"]["train"] == sum(by_name[name]["tokens"] for name in ("backward", "m0", "m1"))
    shown = askback("status", str(made)).stdout
    row = next(line for line in shown.splitlines() if line.startswith("score-1"))
    assert f"{score['tokens']:,}" in row and f"{score['forecast']['tokens']['prompt']:,}" in row
    assert "Spent over all attempts:" in shown


@pytest.mark.timeout(600)
def test_a_finished_run_tells_another_how_fast_it_goes(made: Path, recipe: Path) -> None:
    planned = json.loads(askback("plan", str(recipe), "--set", "name=next", "--from", str(made), "--json").stdout)
    assert planned["rates"] == f"measured in {made}"
    assert len(planned["seed"]) == 3 and all(" → " in line for line in planned["seed"])
    assert not (made.parent / "next").exists()
    refused = askback("plan", str(recipe), "--set", "name=next", "--from", str(made.parent))
    assert refused.returncode == 3 and "not a run folder" in refused.stderr


@pytest.mark.timeout(600)
def test_measuring_writes_rates_that_the_next_plan_uses(recipe: Path) -> None:
    named = (recipe, "--set", "name=measured", "--json")
    measured = askback("plan", *named, "--measure")
    assert measured.returncode == 0, measured.stderr
    rates = json.loads((recipe.parent / "runs/measured/rates.json").read_text())
    spent = {role: Spent(**one) for role, one in rates["spent"].items()}
    assert spent["loss"].prompt and spent["score"].prompt and spent["train"].train
    assert spent["augment"].prompt and spent["augment"].output
    again = json.loads(askback("plan", *named).stdout)
    assert again["rates"] == "measured by plan --measure (rates.json)" == json.loads(measured.stdout)["rates"]
    score = next(step for step in again["steps"] if step["name"] == "score-1")
    rate = spent["score"].prompt / spent["score"].seconds
    assert score["seconds"] == pytest.approx(rates["startup"] + score["tokens"]["prompt"] / rate, rel=0.01)


def test_rates_are_learnt_by_what_was_done() -> None:
    rates = Rates(CPU, "assumed")
    assert str(rates) == "assumed"
    rates.learn({"loss": Spent(10, prompt=1000), "augment": Spent(30, prompt=2000, output=500)}, "measured")
    assert rates.rates["loss"].prompt == 100
    assert rates.rates["augment"] == PerSecond(100, 50, CPU.train)  # 20 s of 30 were reading
    assert rates.seconds("augment", Tokens(prompt=400, output=100)) == rates.startup + 4 + 2
    assert rates.seconds("train", Tokens()) == 0
    assert str(rates) == "augment, loss: measured; score, rewrite, train: assumed"


def test_money_is_reckoned_by_the_prices_given(recipe: Path) -> None:
    free = Plan(load_recipe(recipe, ["recipe.rounds=1", "name=priced"]))
    assert all(step.usd == 0 for step in free.steps)
    judge = {"kind": "openai_http", "url": "http://127.0.0.1:9/v1", "model": "judge", "api": "chat"}
    prices = {"usd_per_million_prompt_tokens": 2.0, "usd_per_million_output_tokens": 8.0}
    resources = free.file.resources.model_dump()
    resources |= {"usd_per_hour": 3.6, "engines": {"augment": None, "score": judge | prices}}
    change = free.file.model_dump() | {"resources": resources}
    steps = {step.name: step for step in Plan(type(free.file).model_validate(change)).steps}
    score, train = steps["score-1"], steps["m0"]
    assert score.usd == pytest.approx(score.forecast.tokens.prompt * 2e-6 + score.seconds * 0.001)
    assert train.usd == pytest.approx(train.seconds * 0.001) and train.usd > 0


def test_parameters_and_disk_follow_from_the_weights(recipe: Path) -> None:
    from safetensors import safe_open

    model = recipe.parent / "model"
    with safe_open(model / "model.safetensors", "np") as file:
        count = sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118
    assert parameters(model) == count
    steps = Plan(load_recipe(recipe, ["name=sized"])).steps
    assert {step.name: step.forecast.disk for step in steps}["m0"] == (4 + 2) * count


def test_without_a_tokenizer_lengths_are_by_characters() -> None:
    assert Ruler().text("x" * 420) == pytest.approx(100)
