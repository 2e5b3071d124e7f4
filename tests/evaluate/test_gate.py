"""The gate keeps a model that is no worse than the best before it, and its interval holds what it promises."""

import json
from pathlib import Path

import numpy as np
import pytest

from askback.config import Gate, RecipeFile
from askback.evaluate.bootstrap import loss_difference
from askback.evaluate.gate import judge_rounds, keep_best
from askback.execution.identity import Model
from askback.execution.run import Run
from askback.execution.shards import Records, rejections, write_records
from askback.records import Loss
from askback.report import read


def losses(nats: list[float], tokens: list[int] | None = None) -> list[Loss]:
    return [Loss(f"{n}", f"pair{n}", "m", value, tokens[n] if tokens else 10) for n, value in enumerate(nats)]


def test_the_difference_is_of_the_losses_per_token() -> None:
    before, after = losses([20.0, 90.0], [10, 30]), losses([22.0, 94.0], [10, 30])
    found = loss_difference(before, after[::-1], 0.95, 0)
    assert found.difference == pytest.approx((22 + 94) / 40 - (20 + 90) / 40)
    # Of two pairs, a resample is one of three: both alike (1/4 each) or both; so the interval's ends are the two ratios.
    assert [found.low, found.high] == pytest.approx([4 / 30, 2 / 10])
    assert loss_difference(before, after, 0.95, 0) == found


def test_the_interval_against_the_formula_for_many_pairs() -> None:
    random = np.random.default_rng(5)
    tokens = random.integers(20, 200, 400)
    nats = random.normal(0.01, 0.1, 400) * tokens
    zeros = losses([0.0] * 400, tokens.tolist())
    found = loss_difference(zeros, losses(nats.tolist(), tokens.tolist()), 0.95, 0)
    residuals = nats - found.difference * tokens
    error = np.sqrt((residuals**2).sum()) / tokens.sum()  # linearised ratio estimator
    assert found.low == pytest.approx(found.difference - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(found.difference + 1.96 * error, abs=0.15 * error)


def test_it_covers_the_truth_as_often_as_it_says() -> None:
    """300 studies of 60 pairs of very unequal length, the truth being 0.02 nats per token."""
    random = np.random.default_rng(11)
    hit = 0
    for study in range(300):
        tokens = random.lognormal(4.5, 0.8, 60).astype(int) + 5
        nats = random.normal(0.02, 0.1, 60) * tokens
        zeros = losses([0.0] * 60, tokens.tolist())
        found = loss_difference(zeros, losses(nats.tolist(), tokens.tolist()), 0.9, study)
        hit += found.low <= 0.02 <= found.high
    # 0.9 nominal; a percentile bootstrap of so few pairs falls a little short. 0.84 is 3 standard errors below.
    assert 0.84 <= hit / 300 <= 0.95


def test_one_pair_says_nothing() -> None:
    found = loss_difference(losses([1.0]), losses([9.0]), 0.95, 0)
    assert found.difference == pytest.approx(0.8) and (found.low, found.high) == (-np.inf, np.inf)
    (gate,) = judge_rounds([losses([1.0]), losses([9.0])], 0.95, 0)
    assert gate["passed"] and gate["low"] is None  # JSON knows no infinity
    assert "no interval" in read.verdict(read.Result(1, 1, 1, True, [gate]))[0]


@pytest.mark.parametrize(("low", "high", "said"), [(-0.3, -0.1, "better"), (-0.3, 0.1, "not told apart")])
def test_what_the_interval_says_is_said(low: float, high: float, said: str) -> None:
    gate = {"round": 1, "against": 0, "difference": -0.2, "low": low, "high": high, "passed": True}
    assert read.verdict(read.Result(1, 1, 1, True, [gate]))[0].endswith(f"nats per token: {said}")


def test_models_are_compared_on_the_pairs_that_both_have() -> None:
    before, after = losses([20.0, 30.0, 99.0])[:2], losses([88.0, 33.0, 44.0])[1:]
    assert loss_difference(before, after, 0.95, 0).difference == pytest.approx(0.3)
    assert loss_difference(before[:1], after[1:], 0.95, 0) == (0, -np.inf, np.inf)
    without = [*shifted(-1)[:20], *shifted(-1)[21:]]
    gates = judge_rounds([shifted(0), without, shifted(-0.5)], 0.95, 0)
    assert [(gate["against"], gate["passed"]) for gate in gates] == [(0, True), (1, False)]


BEST = [20.0 + n % 7 for n in range(50)]


def shifted(by: float, noise: float = 0.0) -> list[Loss]:
    random = np.random.default_rng(2)
    return losses([value + by + float(random.normal(0, noise)) for value in BEST])


def test_a_worse_model_is_held_back_and_noise_is_not_held_against_one() -> None:
    gates = judge_rounds([shifted(0), shifted(0.5, 0.3), shifted(0.1, 3.0), shifted(-0.5, 0.3)], 0.95, 0)
    assert [gate["passed"] for gate in gates] == [False, True, True]
    assert [gate["against"] for gate in gates] == [0, 0, 0]


def test_small_losses_do_not_add_up_unnoticed() -> None:
    """Each is within the noise of the one before; the third is not within that of the first, which is the best."""
    rounds = [shifted(0), shifted(0.3, 1.0), shifted(0.6, 1.0), shifted(1.5, 1.0)]
    gates = judge_rounds(rounds, 0.95, 0)
    assert [gate["against"] for gate in gates] == [0, 0, 0] and not gates[-1]["passed"]


def test_a_better_model_becomes_the_one_to_beat() -> None:
    gates = judge_rounds([shifted(0), shifted(-1), shifted(-0.5)], 0.95, 0)
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
            (run.folder / f"m{t}/model").mkdir(parents=True)
            (run.folder / f"m{t}/model/model.safetensors").write_text(f"weights {t}")
            (run.folder / f"loss-m{t}").mkdir()
            write_records(run.folder / f"loss-m{t}/kept-00000.parquet", Loss, found)
            models.append(Model(run.folder / f"m{t}/model", f"m{t}", f"{t}"))
            handles.append(Records(run.folder / f"loss-m{t}", f"{t}"))
        return run.step("result", keep_best, options, models=models, losses=handles)


def test_the_step_links_the_model_that_passed_and_says_why(tmp_path: Path) -> None:
    model = gated(tmp_path, [shifted(0), shifted(-1), shifted(1)], Gate())
    weights = model.path / "model.safetensors"
    assert weights.read_text() == "weights 1"
    assert weights.stat().st_ino == (tmp_path / "x/m1/model/model.safetensors").stat().st_ino, "no second copy"
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
    assert (model.path / "model.safetensors").read_text() == "weights 1"


def gate(t: int, against: int, passed: bool) -> dict[str, object]:
    return {"round": t, "against": against, "difference": 0.01, "low": 0.002, "high": 0.02, "passed": passed}


def test_what_is_said_of_it() -> None:
    kept = read.Result(2, 2, 2, True, [gate(1, 0, True), gate(2, 0, True)])
    assert read.verdict(kept)[-1] == "The result is m2."
    held = read.Result(1, 1, 2, True, [gate(1, 0, True), gate(2, 1, False)])
    assert "m2 against m1: +0.0100 [+0.0020, +0.0200] nats per token: worse" in read.verdict(held)
    assert "The result is m1, as no later model" in read.verdict(held)[-1]
    seed_only = read.Result(0, 1, 1, True, [gate(1, 0, False)])
    assert "made the model worse" in read.verdict(seed_only)[-1] and "round 1" in read.verdict(seed_only)[-1]
