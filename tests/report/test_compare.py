"""Runs beside each other: facts in one order, and only the options that differ."""

import dataclasses
import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from askback.evaluate.difference import HOLDS
from askback.execution.shards import write_records
from askback.records import Loss
from askback.report import compare, tables
from askback.report.gather import View, gather
from askback.studies import sides


def test_two_runs(planted: Path, other: Path) -> None:
    views = [gather(planted), gather(other)]
    assert compare.differences(views) == {"random_seed": ["0", "7"]}
    facts = compare.beside(views)
    assert facts["documents"] == ["12", "12"] and facts["result"][0].startswith("m")
    assert facts["m1 − m0 on seed pairs"] == ["+0.0000 (+0.0000 to +0.0000)"] * 2
    rate = next(cells for name, cells in facts.items() if name.startswith("win rate"))
    assert rate[0] and not rate[1], "the other run has no evaluation of its models"
    assert [figure for figure, what, _ in compare.glance(views[0]) if what == "pairs chosen"] == ["3"]


def test_an_interval_has_true_minus_signs() -> None:
    assert sides.interval({"difference": -0.01, "low": -0.02, "high": 0.0}) == "−0.0100 (−0.0200 to +0.0000)"


def test_tables_say_what_was_found(planted: Path) -> None:
    found = tables.of_run(gather(planted))
    by_title = {table.title.partition(":")[0]: table for section in found.values() for table in section}
    for title in (
        sides.TITLE,
        "Win rates ± one standard error",
        "Study",
        "Agreement of the selections",
    ):
        assert by_title[title].rows, title
    assert any("12 prompts" in note for note in by_title["Win rates ± one standard error"].notes)
    for table in by_title.values():
        assert {len(row) for row in table.rows} == {len(table.heads)}, table.title


def test_money_and_meaning_where_there_are_any(planted: Path) -> None:
    view = gather(planted)
    assert "USD" not in tables.of_run(view)["cost"][0].heads
    near = {"model": "m1", "prompts": "p", "embedder": "e", "answers": 3, "similarity": 0.5, "standard_error": 0.1}
    steps = [{**step, "usd": 0.5} for step in view.steps]
    evaluation = {**view.evaluation, "similarities": {"a": {**near, "unrelated": None}}}
    found = tables.of_run(dataclasses.replace(view, steps=steps, evaluation=evaluation))
    (cost,) = found["cost"]
    assert cost.heads[-1] == "USD" and cost.rows[-1][-1] == f"{0.5 * len(steps):,.2f}"
    assert [table.rows for table in found["helped"] if table.title.startswith("Nearness")] == [
        [["m1", "p", "e", "3", "0.500 ± 0.100", ""]]
    ]


def losses(model: str, by: float, noise: float, run: int, pairs: range) -> list[Loss]:
    random = np.random.default_rng(run)
    return [Loss(f"{n}", f"{n}", model, 20 + n % 5 + by + float(random.normal(0, noise)), 10) for n in pairs]


def test_runs_with_other_random_seeds_are_told_together(planted: Path, other: Path) -> None:
    def view(run: int, by: float) -> View:
        pairs: sides.Losses = {
            sides.HELD_OUT: {"m0": losses("m0", 0, 0, run, range(40)), "m1": losses("m1", by, 0.1, run, range(40))},
            sides.DOCUMENTS: {
                "m0": losses("m0", 0, 0, run, range(run, run + 9)),
                "m1": losses("m1", by, 0.1, run, range(run, run + 9)),
            },
        }
        options = {"random_seed": run}
        return dataclasses.replace(gather(planted), losses=sides.measured(pairs), pairs=pairs, options=options)

    views = [view(run, by) for run, by in ((1, -0.6), (40, -0.4), (90, -0.2))]
    on_seed, on_documents = compare.repeated(views)
    assert on_seed.startswith("m1 − m0 on seed pairs over 3 random seeds: −0.0") and "and the trainings" in on_seed
    alone = [one.losses[sides.HELD_OUT]["m1"]["against_m0"] for one in views]
    together = on_seed.partition("(")[2].partition(")")[0].replace("−", "-").split(" to ")
    assert float(together[1]) - float(together[0]) > 3 * max(one["high"] - one["low"] for one in alone)
    assert on_documents.startswith("m1 − m0 on documents over 3 random seeds: ")
    each = [one.losses[sides.DOCUMENTS]["m1"]["against_m0"]["difference"] for one in views]
    reach = 4.3027 * statistics.stdev(each) / 3**0.5
    mean = statistics.fmean(each)
    told = [float(end) for end in on_documents.partition("(")[2].partition(")")[0].replace("−", "-").split(" to ")]
    assert told == pytest.approx([mean - reach, mean + reach], abs=1e-4)
    assert compare.repeated(views[:1]) == []
    changed = dataclasses.replace(views[1], options={"random_seed": 2, "rounds": 3})
    assert compare.repeated([views[0], changed]) == [], "another recipe is another thing"
    assert tables.of_all(views)["facts"][0].notes == compare.repeated(views)


def test_one_table_has_both_sides_and_what_is_beside_them(tmp_path: Path) -> None:
    found: sides.Losses = {}
    for side, s_a, both in ((sides.HELD_OUT, 21.0, 24.0), (sides.DOCUMENTS, 26.0, 27.0), ("tasks", None, None)):
        found[side] = {
            model: [Loss(f"{n}", f"{n}", model, 21.0 - t, 10, None, both, s_a) for n in range(3)]
            for t, model in enumerate(("base", "m0", "m1"))
        }
    heads, rows = sides.table(sides.measured(found))
    assert heads == ["measured on", "model", "S_a", "S_w", "S_a + S_w", "against M_0 (95 %)", "pairs", "tokens"]
    assert rows[0] == ["held-out seed pairs", "base", "2.1000", "", "2.4000", "", "3", "30"]
    assert rows[3] == [sides.DOCUMENTS, "base", "2.6000", "2.1000", "2.7000", "", "3", "30"]
    assert rows[8] == ["tasks", "m1", "1.9000", "", "", "−0.1000 (−0.1000 to −0.1000)", "3", "30"]
    assert sides.notes(sides.measured(found)) == [sides.DECIDES, HOLDS]
    assert sides.notes(sides.measured(found), told=True) == [sides.DECIDES]
    everything, _ = sides.table(sides.measured(found), everything=True)
    assert {"against base (95 %)", "against M_0 under S_a"} <= set(
        everything
    ) and "against M_0 under S_w" not in everything


def test_what_a_run_measured_is_read_by_set(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("name: x\nrecipe: {rounds: 1}\n")
    steps = {"loss": [""], "unseen": [""], "beside": ["augmented", "natural", "set-tasks"]}
    for kind, names in steps.items():
        for at, model in enumerate(("base", "m0")):
            step = tmp_path / f"{kind}-{model}"
            step.mkdir()
            made = [Loss(f"{n}", f"{n}", model, 1.0, 10, set=name) for n, name in enumerate(names)]
            write_records(step / "kept-00000.parquet", Loss, made)
            record = {"step": step.name, "finished": at, "counts": {}, "reasons": {}, "metrics": {}}
            (step / "step.json").write_text(json.dumps(record))
    found = sides.recorded(tmp_path)
    assert list(found) == [sides.HELD_OUT, sides.DOCUMENTS, *sides.BESIDE.values(), "tasks"]
    assert all(list(models) == ["base", "m0"] for models in found.values())
