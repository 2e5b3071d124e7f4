"""The gate keeps a model that is no worse than the best before it, and says what that rests on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askback.evaluate.gate import judge_rounds, keep_best
from askback.execution.identity import Model, trained_model
from askback.execution.run import Run
from askback.execution.shards import Records, rejections, write_records
from askback.recipe import Gate, RecipeFile
from askback.records import Loss
from askback.studies import run_folder, summary


def losses(nats: list[float], tokens: list[int] | None = None) -> list[Loss]:
    return [Loss(f"{n}", f"pair{n}", "m", value, tokens[n] if tokens else 10) for n, value in enumerate(nats)]


def test_one_pair_says_nothing() -> None:
    (gate,) = judge_rounds([losses([1.0]), losses([9.0])], 0.95)
    assert gate["passed"] and gate["low"] is None  # JSON knows no infinity
    assert "no interval" in summary.verdict(run_folder.Result(1, 1, 1, True, [gate]))[0]


@pytest.mark.parametrize(("low", "high", "said"), [(-0.3, -0.1, "better"), (-0.3, 0.1, "no clear difference")])
def test_what_the_interval_says_is_said(low: float, high: float, said: str) -> None:
    gate = {"round": 1, "against": 0, "difference": -0.2, "low": low, "high": high, "passed": True}
    assert summary.verdict(run_folder.Result(1, 1, 1, True, [gate]))[0].endswith(
        f"nats per token: {said} on held-out seed pairs"
    )


def test_models_are_compared_on_the_pairs_that_both_have() -> None:
    without = [*shifted(-1)[:20], *shifted(-1)[21:]]
    gates = judge_rounds([shifted(0), without, shifted(-0.5)], 0.95)
    assert [(gate["against"], gate["passed"]) for gate in gates] == [(0, True), (1, False)]


BEST = [20.0 + n % 7 for n in range(50)]


def shifted(by: float, noise: float = 0.0) -> list[Loss]:
    random = np.random.default_rng(2)
    return losses([value + by + float(random.normal(0, noise)) for value in BEST])


def test_a_worse_model_is_held_back_and_noise_is_not_held_against_one() -> None:
    gates = judge_rounds([shifted(0), shifted(0.5, 0.3), shifted(0.1, 3.0), shifted(-0.5, 0.3)], 0.95)
    assert [gate["passed"] for gate in gates] == [False, True, True]
    assert [gate["against"] for gate in gates] == [0, 0, 0]


def test_small_losses_do_not_add_up_unnoticed() -> None:
    """Each is within the noise of the one before; the third is not within that of the first, which is the best."""
    rounds = [shifted(0), shifted(0.3, 1.0), shifted(0.6, 1.0), shifted(1.5, 1.0)]
    gates = judge_rounds(rounds, 0.95)
    assert [gate["against"] for gate in gates] == [0, 0, 0] and not gates[-1]["passed"]


def test_a_better_model_becomes_the_one_to_beat() -> None:
    gates = judge_rounds([shifted(0), shifted(-1), shifted(-0.5)], 0.95)
    assert [(gate["against"], gate["passed"]) for gate in gates] == [(0, True), (1, False)]


def recipe(folder: Path) -> RecipeFile:
    source = {"format": "text", "path": str(folder)}
    tree = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [source]}, "rounds": 2}
    return RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": {"runs": str(folder)}})


def gated(folder: Path, measured: list[list[Loss]], options: Gate) -> Model:
    """Make the step on models of one file each."""
    models, handles = [], []
    with Run(recipe(folder)) as run:
        for t, found in enumerate(measured):
            for name in ("model", "model-bfloat16"):
                (run.folder / f"m{t}/{name}").mkdir(parents=True)
                (run.folder / f"m{t}/{name}/model.safetensors").write_text(f"weights {t} of {name}")
            (run.folder / f"loss-m{t}").mkdir()
            write_records(run.folder / f"loss-m{t}/kept-00000.parquet", Loss, found)
            models.append(trained_model(run.folder / f"m{t}", f"m{t}", f"{t}"))
            handles.append(Records[Any](run.folder / f"loss-m{t}", f"{t}"))
        return run.step("result", keep_best, options, models=models, losses=handles)


def test_the_step_links_the_model_that_passed_and_says_why(tmp_path: Path) -> None:
    model = gated(tmp_path, [shifted(0), shifted(-1), shifted(1)], Gate())
    for name in ("model", "model-bfloat16"):
        weights = tmp_path / "x/result" / name / "model.safetensors"
        assert weights.read_text() == f"weights 1 of {name}"
        assert weights.stat().st_ino == (tmp_path / "x/m1" / name / "model.safetensors").stat().st_ino, "no second copy"
    assert [model.path, model.read_in("bfloat16").path] == [
        tmp_path / "x/result/model",
        tmp_path / "x/result/model-bfloat16",
    ]
    step = json.loads((tmp_path / "x/result/step.json").read_text())
    assert step["metrics"]["round"] == 1 and step["counts"]["models"] == {
        "entered": 3,
        "kept": 1,
        "rejected": 2,
        "failed": 0,
    }
    assert [drop.rule for drop in rejections(tmp_path / "x/result")] == ["later-is-no-worse", "worse"]


def test_the_gate_can_be_off(tmp_path: Path) -> None:
    model = gated(tmp_path, [shifted(0), shifted(1)], Gate(enabled=False))
    assert (model.path / "model.safetensors").read_text() == "weights 1 of model"


def gate(t: int, against: int, passed: bool) -> dict[str, object]:
    return {"round": t, "against": against, "difference": 0.01, "low": 0.002, "high": 0.02, "passed": passed}


def test_what_is_said_of_it() -> None:
    kept = run_folder.Result(2, 2, 2, True, [gate(1, 0, True), gate(2, 0, True)])
    assert summary.verdict(kept)[-1] == "The result is m2."
    held = run_folder.Result(1, 1, 2, True, [gate(1, 0, True), gate(2, 1, False)])
    assert "m2 against m1: +0.0100 [+0.0020, +0.0200] nats per token: worse on held-out seed pairs" in summary.verdict(
        held
    )
    assert "The result is m1, as no later model" in summary.verdict(held)[-1]
    seed_only = run_folder.Result(0, 1, 1, True, [gate(1, 0, False)])
    assert (
        "predict held-out seed pairs worse" in summary.verdict(seed_only)[-1]
        and "round 1" in summary.verdict(seed_only)[-1]
    )
    assert any("of one training each" in line for line in summary.verdict(held)), (
        "what the interval holds is said with it"
    )
