"""Pairs go out to Argilla and Label Studio and come back with labels; what is taken in twice counts once."""

import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from askback.curate.label_file import NAME, Event, LabelFile, Shown, events, now, pair_of, read_labels
from askback.errors import RecipeError
from askback.execution.run import Run, claim_run
from askback.recipe import RecipeFile
from askback.records import exchange
from askback.seed.load import load_seed
from tests.commands import askback, one_error
from tests.review.runs import JUDGE, candidate, write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [candidate(n) for n in range(12)])


def answered(format: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what comes back when every pair has four stars of five."""
    if format == "argilla":
        return [row | {"responses": {"label": [{"value": 4, "user_id": "eve"}]}} for row in rows]
    result = [{"type": "rating", "from_name": "label", "to_name": "output", "value": {"rating": 4}}]
    annotations = [{"completed_by": {"email": "eve"}, "result": result, "was_cancelled": False}]
    return [row | {"annotations": annotations} for row in rows]


@pytest.mark.parametrize("format", ["argilla", "label-studio"])
def test_out_and_back(format: str, run: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "out.json", tmp_path / "back.json"
    said = askback("review", run, "--out", out, "--format", format, "--pairs", 8)
    assert said.stdout == f"8 pairs in {out}\n"
    assert JUDGE not in out.read_text() and "score" not in out.read_text()
    one_error(askback("review", run, "--out", out), 3)
    back.write_text(json.dumps(answered(format, json.loads(out.read_text()))))
    assert askback("review", run, "--labels", back).stdout.startswith(f"8 labels added to {run / NAME}\n")
    assert "0 labels added" in askback("review", run, "--labels", back).stdout
    found = read_labels(run / NAME)
    assert {(by, event.given) for (by, _), event in found.standing.items()} == {("eve", "4")}
    assert len(found.standing) == 8
    assert json.loads(askback("review", run, "--json").stdout)["people"] == {"eve": 8}


def test_comparisons_are_taken_in(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "compared.jsonl"
    rows = [{"instruction": "Why?", "output_1": "So.", "output_2": f"No {n}.", "preference": n} for n in (1, 2)]
    path.write_text("\n".join(map(json.dumps, [*rows, {**rows[0], "preference": "tie", "output_2": "Yes."}])))
    assert "3 labels added" in askback("review", run, "--labels", path, "--as", "eve").stdout
    assert sorted(event.given for event in read_labels(run / NAME).comparisons.values()) == ["left", "right", "tie"]


def test_labels_may_come_before_the_run(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?", "response": "So.", "rating": n} for n in (1, 3, 5)]
    (tmp_path / "mine.json").write_text(json.dumps(rows))
    assert "3 labels added" in askback("review", tmp_path / "runs/new", "--labels", tmp_path / "mine.json").stdout
    recipe = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    tree = {"name": "new", "recipe": recipe, "resources": {"runs": str(tmp_path / "runs")}}
    with Run(RecipeFile.model_validate(tree)) as begun:
        begun.step("seed", load_seed, begun.file.recipe.seed)
    assert sorted(event.level for event in read_labels(begun.folder / NAME).standing.values()) == [1, 3, 5]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    one_error(askback("review", tmp_path / "mine", "--labels", tmp_path / "mine.json"), 3)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_what_cannot_be_is_said_in_one_line(run: Path, tmp_path: Path) -> None:
    said = one_error(askback("review", run, "--out", tmp_path / "x", "--format", "prodigy"), RecipeError.exit_code)
    assert "argilla and label-studio" in said
    (tmp_path / "bad.csv").write_text("instruction,output,label\na,b,7\n")
    assert "go from 7 to 7" in one_error(askback("review", run, "--labels", tmp_path / "bad.csv"), 3)
    (tmp_path / "bad.csv").write_text("instruction,output,label\na,,good\nc,,bad\n")
    assert "and 1 rows more" in one_error(askback("review", run, "--labels", tmp_path / "bad.csv"), 3)
    assert not (run / NAME).exists()


def test_low_levels_stay_low(run: Path, tmp_path: Path) -> None:
    tasks = [
        {"data": {"instruction": f"{n}?", "output": "So."}, "annotations": [{"result": [{"value": {"rating": 1}}]}]}
        for n in range(6)
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    assert "6 labels added" in askback("review", run, "--labels", tmp_path / "tasks.json").stdout
    assert [one.keep for one in read_labels(run / NAME).verdicts().values()] == [False] * 6


@pytest.mark.parametrize("error", [KeyError("uid not found: 54321"), OSError("no user")], ids=["3.12", "3.13"])
def test_a_user_without_a_name_is_asked_for_one(
    error: Exception, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", mock.Mock(side_effect=error))
    (tmp_path / "x.csv").write_text("instruction,output,label\na,b,good\n")
    nameless: list[tuple[object, ...]] = [(), ("--labels", tmp_path / "x.csv"), ("--as", " ")]
    for arguments in nameless:
        assert "--as" in one_error(askback("review", run, *arguments), RecipeError.exit_code)
    assert not (run / NAME).exists()
    named: list[tuple[object, ...]] = [("--json",), ("--out", tmp_path / "out.json")]
    for arguments in (*named, ("--labels", tmp_path / "x.csv", "--as", "ada")):
        assert askback("review", run, *arguments).returncode == 0


def test_a_colleagues_file_comes_with_edits_and_what_was_undone(run: Path, tmp_path: Path) -> None:
    theirs = LabelFile(tmp_path / "bob" / NAME)
    claim_run(tmp_path / "bob")
    pairs = [exchange(f"{n}?", "So.") for n in range(3)]
    shown = [(Shown(pair_of(pair), pair),) for pair in pairs]
    better = exchange("Better?", "So it is.")
    said = [
        Event(id="e0", kind="edit", by="bob", at=now(), pairs=shown[0], edited=better),
        Event(id="l0", kind="label", by="bob", at=now(), pairs=shown[0], given="5"),
        Event(id="l1", kind="label", by="bob", at=now(), pairs=shown[1], given="2"),
        Event(id="l2", kind="label", by="bob", at=now(), pairs=shown[2], given="1"),
        Event(id="u2", kind="undo", by="bob", at=now(), given="l2"),
        Event(id="c0", kind="comment", by="bob", at=now(), pairs=shown[1], given="Too short."),
    ]
    for event in said:
        theirs.add(event)
    assert "3 labels added" in askback("review", run, "--labels", theirs.path, "--as", "ada").stdout
    assert "0 labels added" in askback("review", run, "--labels", theirs.path, "--as", "ada").stdout
    assert list(events(run / NAME)) == said
    assert read_labels(run / NAME).verdicts() == theirs.refresh().verdicts()
    assert read_labels(run / NAME).verdicts()[pair_of(pairs[0])].edited == better


def test_a_label_that_is_changed_back_counts(run: Path, tmp_path: Path) -> None:
    path, pair = tmp_path / "x.csv", pair_of(exchange("Why?", "So."))
    for first, last, added in ((3, 4, 1), (3, 2, 1), (5, 4, 1), (3, 4, 0)):
        path.write_text(f"instruction,output,label\nWhy?,So.,{first}\nWhy?,So.,{last}\n")
        assert f"{added} labels added" in askback("review", run, "--labels", path, "--as", "ada").stdout
        label = read_labels(run / NAME).label("ada", pair)
        assert label and label.level == last
    for preference, added in (("1", 1), ("2", 1), ("1", 1), ("1", 0)):
        path.write_text(f"instruction,output_1,output_2,preference\nWhy?,So.,No.,{preference}\n")
        assert f"{added} labels added" in askback("review", run, "--labels", path, "--as", "ada").stdout
        (found,) = read_labels(run / NAME).comparisons.values()
        assert found.given == ("left" if preference == "1" else "right")


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (["--out", "x.json", "--labels", "x.csv"], "--labels"),
        (["--out", "x.json", "--json"], "--json"),
        (["--out", "x.json", "--as", "ada"], "--as"),
        (["--labels", "x.csv", "--format", "argilla"], "--format"),
        (["--labels", "x.csv", "--pairs", "100"], "--pairs"),
        (["--json", "--port", "0"], "--port"),
        (["--format", "label-studio"], "--format"),
    ],
    ids=" ".join,
)
def test_an_option_that_has_no_use_is_refused(arguments: list[str], unused: str, run: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("instruction,output,label\na,b,good\n")
    said = one_error(askback("review", run, *arguments, cwd=tmp_path), RecipeError.exit_code)
    assert f"{unused}: not used with" in said or f"{unused}: only with --out" in said
    assert not (run / NAME).exists() and not (tmp_path / "x.json").exists()


def test_json_is_of_a_run_and_is_all_that_is_printed(run: Path, tmp_path: Path) -> None:
    assert "nothing: not a run folder" in one_error(askback("review", tmp_path / "nothing", "--json"), 3)
    assert json.loads(askback("review", run, "--json").stdout)["people"] == {}
    (tmp_path / "x.csv").write_text("instruction,output,label\na,b,good\n")
    for folder in (run, tmp_path / "new"):
        said = askback("review", folder, "--labels", tmp_path / "x.csv", "--as", "ada", "--json")
        assert json.loads(said.stdout)["people"] == {"ada": 1} and "1 labels added" in said.stderr
    assert json.loads(askback("review", tmp_path / "new", "--json").stdout)["people"] == {"ada": 1}
