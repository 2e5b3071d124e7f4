"""Labels of every kind are read, and a row without one says what it holds."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback.curate.label_file import pair_of, split_of
from askback.curate.labels import load_labels, rated, teaching, verdicts, whole
from askback.curate.teach_probe import wanted
from askback.errors import InputError
from askback.execution.run import Run
from askback.execution.shards import rejections
from askback.recipe import Labels, RecipeFile
from askback.records import exchange


def load(folder: Path, text: str, name: str = "labels") -> tuple[list[Any], list[str]]:
    """Return the probes, and the details of what was dropped."""
    path = folder / name
    path.write_text(text)
    recipe = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    file = RecipeFile.model_validate({"name": "x", "recipe": recipe, "resources": {"runs": str(folder / "runs")}})
    with Run(file) as run:
        made = run.step("labels", load_labels, Labels(path=str(path)))
        return list(made), [drop.detail for drop in rejections(run.folder / "labels")]


def test_a_list_of_labels(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Sort.", "input": ["b", "a"], "output": "a, b", "label": "Good"},
        {"instruction": "Why?", "output": "So.", "rating": 2.5},
        {"instruction": "Why?", "output": "So.", "label": True},
    ]
    probes, dropped = load(tmp_path, json.dumps({"data": rows}, indent=1))
    assert [(one.instruction, one.label) for one in probes] == [('Sort.\n\n["b", "a"]', 1), ("Why?", 2.5), ("Why?", 1)]
    assert dropped == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"label": None}, "under 'label' or 'rating', found nothing"),
        ({"label": "fine"}, "found text 'fine'"),
        ({"label": ["good"]}, "found a list"),
        ({"instruction": 7}, "expected text under 'instruction', 'instruction' holds a number"),
        ({"output": None}, "expected text under 'output', 'output' holds null"),
        ({"output": " "}, "expected text under 'output', 'output' holds text"),
    ],
)
def test_a_row_without_a_label_says_what_it_holds(change: dict[str, Any], why: str, tmp_path: Path) -> None:
    good = {"instruction": "Why?", "output": "So.", "label": 3}
    probes, (detail,) = load(tmp_path, "\n".join(map(json.dumps, (good, {**good, **change}))))
    assert len(probes) == 1 and why in detail


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "9" * 400, "9" * 5000])
def test_what_is_no_number(number: str, tmp_path: Path) -> None:
    row = '{"instruction": "Why?", "output": "So.", "label": %s}'
    probes, dropped = load(tmp_path, f"{row % 4}\n{row % number}")
    assert len(probes) == len(dropped) == 1


def test_csv_with_its_own_separator_and_lines_in_cells(tmp_path: Path) -> None:
    text = '\ufeffprompt;response;rating\r\nWhy?;"So;\nand ""so"".";4\r\nHow?;Thus.;5,5\r\nWho?;He.;good\r\n'
    probes, (detail,) = load(tmp_path, text, "labels.CSV")
    assert [(one.output, one.label) for one in probes] == [('So;\nand "so".', 4), ("He.", 5)]
    assert "found text '5,5'" in detail
    (tmp_path / "x.tsv").write_text("instruction\toutput\tlabel\na\tb\nc\td\t1\t2\n")
    (_, short), (_, long) = rated(tmp_path / "x.tsv")
    assert "found nothing" in str(short) and "1 values more" in str(long)


@pytest.mark.parametrize("mark", ["\f", "\v", "\x1c", "\x85", "\u2028"])
def test_what_ends_no_line_of_csv_is_text(mark: str, tmp_path: Path) -> None:
    probes, dropped = load(tmp_path, f"instruction,output,label\nWhy?,So{mark}so.,good\nWho?,He.,bad\n", "labels.csv")
    assert [(one.output, one.label) for one in probes] == [(f"So{mark}so.", 1), ("He.", 0)] and not dropped


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_ends_of_line_in_cells_are_those_of_candidates(end: str, tmp_path: Path) -> None:
    lines = ["instruction,output,label", 'Why?,"One.', "", 'Two.",good', "Who?,He.,bad", ""]
    (tmp_path / "x.csv").write_bytes(end.join(lines).encode())
    assert [one.pair for one in whole(tmp_path / "x.csv")] == [
        pair_of(exchange("Why?", "One.\n\nTwo.")),
        pair_of(exchange("Who?", "He.")),
    ]


def test_comparisons_are_two_probes_each(tmp_path: Path) -> None:
    def row(preference: object) -> dict[str, Any]:
        return {"instruction": "Why?", "output_1": "So.", "output_2": "Because.", "preference": preference}

    rows = [row(1), row("output_2"), row("tie"), row(2.0), row("3"), row(None), {**row(1), "output_2": ""}]
    probes, dropped = load(tmp_path, "\n".join(map(json.dumps, rows)))
    assert [(one.output, one.label) for one in probes[:2]] == [("So.", 1), ("Because.", 0)]
    assert [one.label for one in probes] == [1, 0, 0, 1, 0.5, 0.5, 0, 1]
    assert [one.pair_id for one in probes[::2]] == [one.pair_id for one in probes[1::2]]
    assert {one.kind for one in probes} == {"compared"} and len({one.pair_id for one in probes}) == 4
    assert ["preference" in detail for detail in dropped] == [True, True, False] and "'output_2' holds" in dropped[2]


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"instruction": ["Why?"], "output": ["So."], "label": [3]}), tmp_path / "x")
    assert [(one.label, one.messages) for one in whole(tmp_path / "x")] == [(3.0, exchange("Why?", "So."))]


def test_records_of_argilla_and_tasks_of_label_studio(tmp_path: Path) -> None:
    fields = {"instruction": "Why?", "output": "So."}
    answers = {"label": [{"value": 4, "user_id": "u1"}, {"value": 2, "user_id": "u2"}]}
    argilla = [{"id": "1", "fields": fields, "metadata": {}, "suggestions": {}, "responses": answers, "vectors": {}}]
    (probe,), dropped = load(tmp_path, json.dumps(argilla))
    assert (probe.label, probe.messages, dropped) == (3, exchange("Why?", "So."), []), "the mean of two people"

    def annotation(by: object, value: dict[str, Any], cancelled: bool = False) -> dict[str, Any]:
        result = [{"from_name": "label", "to_name": "output", "type": "rating", "value": value}]
        return {"completed_by": by, "result": result, "was_cancelled": cancelled}

    tasks = [
        {"id": 7, "data": fields, "annotations": [annotation(3, {"rating": 5}), annotation({"id": 4}, {"rating": 9})]},
        {"id": 8, "data": fields, "annotations": [annotation(3, {"choices": ["drop"]}), annotation(5, {}, True)]},
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    found = [one for _, one in rated(tmp_path / "tasks.json")]
    assert [one if isinstance(one, str) else (one.label, one.by) for one in found] == [
        (5.0, "3"),
        "expected a level from 1 to 5, keep or drop, found a number '9'",
        (1.0, "3"),
    ]
    with pytest.raises(InputError, match=r"tasks\.json.*expected a level"):
        whole(tmp_path / "tasks.json")
    kept = {split_of(pair_of(exchange("Why?", "So.")))} == {"dev"}
    assert len(teaching(tmp_path / "tasks.json")) == 2 * kept


FIELDS = {"instruction": "Why?", "output": "So."}
ARGILLA_1 = {"fields": FIELDS, "responses": [{"user_id": "u", "values": {"rating": {"value": 4}}}]}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ARGILLA_1, "under 'responses', as Argilla 2 writes them, found a list"),
        ({"fields": "text", "responses": {"label": [{"value": 4}]}}, "expected texts, found text"),
        ({"fields": FIELDS, "responses": {"rating": [4]}}, "under 'responses', found a number"),
        ({"fields": FIELDS, "responses": {"rating": 4}}, "under 'responses', found a number"),
        ({"data": FIELDS, "annotations": [12]}, "under 'annotations', found a number"),
        ({"data": FIELDS, "annotations": 12}, "under 'annotations', found a number"),
        ({"data": None, "annotations": []}, "expected texts, found null"),
        ({"data": FIELDS, "annotations": [{"result": [{"value": {"choices": None}}, {"value": 4}, 4, None]}]}, ""),
        ({"data": FIELDS, "annotations": [{"result": 4}]}, ""),
    ],
    ids=str,
)
def test_what_is_no_record_of_its_program_says_so(row: dict[str, Any], why: str, tmp_path: Path) -> None:
    probes, dropped = load(tmp_path, json.dumps([row, {**FIELDS, "label": 4}]))
    assert [one.label for one in probes] == [4]
    assert len(dropped) == bool(why) and why in "".join(dropped)


def test_what_people_want_of_pairs(tmp_path: Path) -> None:
    def said(*labels: object) -> list[bool | None]:
        rows = [{"instruction": f"{n}?", "output": "So.", "label": label} for n, label in enumerate(labels)]
        (tmp_path / "x").write_text("\n".join(map(json.dumps, rows)))
        found = verdicts(tmp_path / "x")
        each = [found.get(pair_of(exchange(row["instruction"], "So."))) for row in rows]  # type: ignore[arg-type]
        return [one and one.keep for one in each]

    assert said("good", "bad", True, 0) == [True, False, True, False]
    assert said(1, 2, 3, 4, 5) == [False, False, None, True, True]
    with pytest.raises(InputError, match=r"labels go from 0\.5 to 0\.7"):
        said(0.5, 0.7)
    assert said("bad", 5, 1) == [False, True, False] and said("good", 5) == [True, True], "words beside levels"


STARS, WORD = {"rating": 1}, {"choices": ["drop"]}


@pytest.mark.parametrize("value", [STARS, WORD])
def test_labels_that_are_all_the_lowest_level_keep_nothing(value: dict[str, Any], tmp_path: Path) -> None:
    tasks = [
        {"data": {"instruction": f"{n}?", "output": "So."}, "annotations": [{"result": [{"value": value}]}]}
        for n in range(9)
    ]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(tasks))
    assert [one.keep for one in verdicts(path).values()] == [False] * 9
    assert {keep for _, keep in wanted(teaching(path))} == {False}


def test_what_numbers_mean_is_told_by_all_of_a_file(tmp_path: Path) -> None:
    rows = [{"instruction": f"{n}?", "output": "So.", "label": 1} for n in range(20)]
    tested = next(row for row in rows if split_of(pair_of(exchange(str(row["instruction"]), "So."))) == "test")
    (tmp_path / "x").write_text("\n".join(map(json.dumps, [*rows, tested | {"label": 5}])))
    taught = list(wanted(teaching(tmp_path / "x")))
    assert taught and not any(keep for _, keep in taught), "only levels of 1 teach, and they are levels"
