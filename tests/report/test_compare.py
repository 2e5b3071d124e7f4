"""Runs beside each other: facts in one order, and only the options that differ."""

import dataclasses
from pathlib import Path

from askback.report import compare, tables
from askback.report.gather import gather


def test_two_runs(planted: Path, other: Path) -> None:
    views = [gather(planted), gather(other)]
    assert compare.differences(views) == {"random_seed": ["0", "7"]}
    facts = compare.beside(views)
    assert facts["documents"] == ["12", "12"] and facts["result"][0].startswith("m")
    assert facts["m1 − m0"] == ["+0.0000 (+0.0000 to +0.0000)"] * 2
    rate = next(cells for name, cells in facts.items() if name.startswith("win rate"))
    assert rate[0] and not rate[1], "the other run has no evaluation of its models"
    assert [figure for figure, what, _ in compare.glance(views[0]) if what == "pairs chosen"] == ["3"]


def test_an_interval_has_true_minus_signs() -> None:
    assert compare.interval({"difference": -0.01, "low": -0.02, "high": 0.0}) == "−0.0100 (−0.0200 to +0.0000)"


def test_tables_say_what_was_found(planted: Path) -> None:
    found = tables.of_run(gather(planted))
    by_title = {table.title.partition(":")[0]: table for section in found.values() for table in section}
    for title in ("Loss on pairs", "Win rates ± one standard error", "Scaling", "Agreement of the selections"):
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
