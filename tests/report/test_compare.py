"""Runs beside each other: facts in one order, and only the options that differ."""

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
    for title in ("Loss on human pairs", "Win rates ± one standard error", "Scaling", "Agreement of the selections"):
        assert by_title[title].rows, title
    assert any("12 prompts" in note for note in by_title["Win rates ± one standard error"].notes)
    for table in by_title.values():
        assert {len(row) for row in table.rows} == {len(table.heads)}, table.title
