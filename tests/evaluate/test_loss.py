"""Held-out loss is measured under the tag of the pair's origin, and under the others that the recipe asks for."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback import prompts
from askback.engines.scripted import Scripted
from askback.engines.worker_context import WorkerContext
from askback.evaluate.loss import measure_piece, summary
from askback.execution.identity import Model
from askback.execution.shards import read_records, write_records
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions, HeldOut, Resources
from askback.records import Example, Loss, Provenance, exchange, schema
from askback.studies.evaluation import compared

SCRIPTED = EngineOptions(kind="scripted")


def pair(n: int) -> Example:
    return Example(
        f"{n}",
        exchange(f"What is item {n}?", f"Item {n} is a thing of the harbour."),
        Provenance(language="en"),
        "seed",
        "held-out",
    )


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


def test_only_what_is_asked_for_is_measured() -> None:
    outcome = measure_piece(
        HeldOut(tags=[]), Resources(engine=SCRIPTED), Model(Path(), "m0", ""), WorkerContext(), [pair(1)]
    )
    assert (outcome.kept[0].nats_augmented, outcome.kept[0].nats_inference) == (None, None)


def test_losses_without_the_new_columns_are_read(tmp_path: Path) -> None:
    write_records(tmp_path / "new.parquet", Loss, [Loss("a", "x", "m", 1.5, 3, 2.0, 2.5)])
    table = pq.read_table(tmp_path / "new.parquet").drop_columns(["nats_augmented", "nats_inference"])
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
