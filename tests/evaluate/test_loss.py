"""Held-out loss is measured under the tag of the pair's origin, and under the others that the recipe asks for."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback import prompts
from askback.engines.scripted import Scripted
from askback.engines.worker_context import WorkerContext
from askback.evaluate.loss import measure_beside, measure_loss, measure_piece, summary
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.progress import Bar, Progress
from askback.execution.run import Run
from askback.execution.shards import Records, read_records, write_records
from askback.execution.step import Step
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions, HeldOut, RecipeFile, Resources
from askback.records import Example, Loss, Origin, Provenance, Split, exchange, schema
from askback.studies.sides import compared

SCRIPTED = EngineOptions(kind="scripted")


def pair(n: int, origin: Origin = "seed", split: Split = "held-out") -> Example:
    messages = exchange(f"What is item {n}?", f"Item {n} is a thing of the harbour.")
    return Example(f"{n}", messages, Provenance(language="en"), origin, split)


def test_a_pair_is_measured_under_each_prompt() -> None:
    pairs = [pair(n) for n in range(5)]
    options = HeldOut(tags=["augmented", "inference"])
    outcome = measure_piece(options, Resources(engine=SCRIPTED), Model(Path(), "m0", ""), WorkerContext(), pairs)
    engine = Scripted()
    for example, loss in zip(pairs, outcome.kept, strict=True):
        for tag, nats in (("seed", loss.nats), ("augmented", loss.nats_augmented), ("inference", loss.nats_inference)):
            (found,) = engine.loglikelihood([prompts.forward(ask(example.instruction).turns, tag)], [example.output])
            assert nats == pytest.approx(-found.logprob)
    assert outcome.counts["pairs"].kept == 5, "a pair counts once, whatever it is measured under"
    assert len({(loss.nats, loss.nats_augmented, loss.nats_inference) for loss in outcome.kept}) == 5
    told = summary(outcome.kept, options.tags)
    tokens = sum(loss.tokens for loss in outcome.kept)
    assert told["loss_inference"] == pytest.approx(sum(loss.nats_inference or 0.0 for loss in outcome.kept) / tokens)


@pytest.mark.parametrize(("origin", "own"), [("seed", "seed"), ("natural", "augmented"), ("augmented", "augmented")])
def test_the_prompt_of_its_origin_is_read_once(origin: Origin, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0
    whole = Scripted.loglikelihood

    def counted(self: Scripted, *args: Any) -> Any:
        nonlocal read
        read += 1
        return whole(self, *args)

    monkeypatch.setattr(Scripted, "loglikelihood", counted)
    pairs = [pair(n, origin) for n in range(3)]
    made = measure_piece(HeldOut(), Resources(engine=SCRIPTED), Model(Path(), "m0", ""), WorkerContext(), pairs)
    assert read == 3
    assert all(loss.nats == getattr(loss, f"nats_{own}") for loss in made.kept)
    assert len({(loss.nats_seed, loss.nats_augmented, loss.nats_inference) for loss in made.kept}) == 3


@recorded(version=1, may_be_empty=True)
def given(step: Step, options: HeldOut) -> Records[Any]:
    outcome = Outcome[Any]()
    for one in GIVEN[step.name]:
        outcome.keep("pairs", one)
    return step.write(Example, [outcome])


GIVEN: dict[str, list[Example]] = {
    "set-tasks": [pair(n) for n in range(3)],
    "rate-unseen": [pair(n, "augmented" if n < 15 else "natural") for n in range(10, 18)],
    "unseen": [pair(n, "augmented") for n in range(10, 13)],
}


class Counting(Progress):
    """Progress that notes how many units each step expects."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.expected: dict[str, int | None] = {}

    def bar(self, name: str, total: int | None, done: int = 0, unit: str = "records") -> Bar:
        self.expected[name] = total
        return super().bar(name, total, done, unit)


@pytest.mark.parametrize("limit", [None, 2])
def test_pairs_that_do_not_decide_are_measured_beside_each_set_by_itself(limit: int | None, tmp_path: Path) -> None:
    tree = {"seed": {"sources": [{"path": "s"}]}, "corpus": {"sources": [{"format": "text", "path": "x"}]}}
    resources = {"runs": str(tmp_path), "engine": {"kind": "scripted"}, "workers": 1}
    model, how = Model(Path(), "m0", ""), HeldOut(limit=limit)
    progress = Counting()
    with Run(RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": resources}), progress) as run:
        sets = [run.step(name, given, HeldOut()) for name in ("set-tasks", "rate-unseen")]
        counting = run.step("unseen", given, HeldOut())
        beside = run.step("beside-m0", measure_beside, how, model=model, sets=sets, counting=counting)
        alone = run.step("loss-m0", measure_loss, how, model=model, examples=sets[0])
    found: dict[str, list[str]] = {}
    for loss in beside:
        found.setdefault(loss.set, []).append(loss.example_id)
    wanted = {"set-tasks": ["0", "1", "2"], "augmented": ["13", "14"], "natural": ["15", "16", "17"]}
    assert found == {name: ids[:limit] for name, ids in wanted.items()}
    assert progress.expected["beside-m0"] == sum(map(len, found.values()))
    told = json.loads((run.folder / "beside-m0/step.json").read_text())["metrics"]["sets"]
    assert told["set-tasks"] == summary(list(alone), how.tags)
    assert told["natural"]["loss"] == told["natural"]["loss_augmented"] != told["natural"]["loss_seed"]


def test_only_what_is_asked_for_is_measured() -> None:
    outcome = measure_piece(
        HeldOut(tags=[]), Resources(engine=SCRIPTED), Model(Path(), "m0", ""), WorkerContext(), [pair(1)]
    )
    assert (outcome.kept[0].nats_augmented, outcome.kept[0].nats_inference) == (None, None)


def test_losses_without_the_new_columns_are_read(tmp_path: Path) -> None:
    write_records(tmp_path / "new.parquet", Loss, [Loss("a", "x", "m", 1.5, 3, 2.0, 2.5)])
    later = ["nats_augmented", "nats_inference", "nats_seed", "set"]
    table = pq.read_table(tmp_path / "new.parquet").drop_columns(later)
    pq.write_table(
        table.cast(pa.schema(list(schema(Loss))[:5], metadata=schema(Loss).metadata)), tmp_path / "old.parquet"
    )
    assert list(read_records(tmp_path / "old.parquet")) == [Loss("a", "x", "m", 1.5, 3)]
    assert list(read_records(tmp_path / "new.parquet")) == [Loss("a", "x", "m", 1.5, 3, 2.0, 2.5)]


def test_models_are_compared_under_each_prompt() -> None:
    before = [Loss(f"{n}", f"{n}", "m0", 20.0 + n, 10, None, 30.0 + n) for n in range(6)]
    after = [Loss(f"{n}", f"{n}", "m1", 20.0 + n, 10, None, 25.0 + n + 0.1 * (n % 2)) for n in range(6)]
    rows = compared({"m0": before, "m1": after})
    assert rows["m1"]["against_m0"]["difference"] == 0
    assert rows["m1"]["against_m0_inference"]["difference"] == pytest.approx(-0.495)
    assert rows["m1"]["loss_inference"] == pytest.approx(sum(loss.nats_inference or 0 for loss in after) / 60)
    assert "loss_augmented" not in rows["m1"]
