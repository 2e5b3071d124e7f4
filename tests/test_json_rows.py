"""JSON as people have it: every form is told by its content, and a bad line or element costs one row, with its reason."""

import codecs
import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback.corpus.readers.jsonl import read_jsonl
from askback.errors import InputError
from askback.inputs.contamination import evaluation_prompts
from askback.inputs.json_rows import WRAPPERS, rows_of
from askback.inputs.rows import BrokenRow, read_rows
from askback.recipe import Corpus, CorpusSource
from askback.records import Document

ROWS: list[dict[str, Any]] = [{"a": 1, "b": {"c": [1, {"d": "é 🙂"}]}}, {"a": 'say "{[" \\ ok'}, {"a": None}]


def read(text: str | bytes, longest: int = 1_000_000) -> list[tuple[str, Any]]:
    """Return rows; of broken ones, rule and reason."""
    data = text.encode() if isinstance(text, str) else text
    found = list(rows_of(io.BytesIO(data), longest))
    return [(place, (row.rule, str(row)) if isinstance(row, BrokenRow) else row) for place, row in found]


def good(text: str | bytes) -> list[Any]:
    return [row for _, row in read(text)]


FORMS = {
    "lines": "\n".join(map(json.dumps, ROWS)),
    "lines with blank ones": "\n\n" + "\r\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n \n",
    "an array in one line": json.dumps(ROWS),
    "a pretty array": json.dumps(ROWS, indent=4, ensure_ascii=False),
    "an array, an element a line": "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
    "an array, commas first": "[" + "\n,".join(map(json.dumps, ROWS)) + "]",
    "pretty objects": "\n".join(json.dumps(row, indent=2) for row in ROWS),
    "pretty objects without indent": "\n".join(json.dumps(row, indent=0) for row in ROWS),
    "objects without a line end": "".join(map(json.dumps, ROWS)),
    "several arrays": json.dumps(ROWS[:1]) + "\n" + json.dumps(ROWS[1:]),
    "rows of the hub's viewer": json.dumps(
        {"features": [{"name": "a"}], "rows": [{"row_idx": 7, "row": row, "truncated_cells": []} for row in ROWS]}
    ),
} | {
    f"wrapped in {name}": json.dumps({"version": "1", "n": [1, 2], name: ROWS, "end": {"x": 1}}, indent=indent)
    for name, indent in zip(sorted(WRAPPERS), [None, 1] * 10, strict=False)
}
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": str.encode,
    "utf-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-be without a mark": lambda text: text.encode("utf-16-be"),
    "utf-16-le without a mark": lambda text: text.encode("utf-16-le"),
    "utf-32": lambda text: text.encode("utf-32"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str, encoding: str) -> None:
    assert good(ENCODINGS[encoding](FORMS[form])) == ROWS


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.ndjson", "a.txt", "a", "a.parquet", "a.JSON", "a.csv"])
@pytest.mark.parametrize("form", ["lines", "a pretty array", "an array in one line"])
def test_the_name_says_nothing(name: str, form: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FORMS[form])
    assert [row for _, row in read_rows(tmp_path / name)] == ROWS
    pq.write_table(pa.Table.from_pylist([{"a": 1}]), tmp_path / name)
    assert [row for _, row in read_rows(tmp_path / name)] == [{"a": 1}]


def test_places() -> None:
    assert [place for place, _ in read(FORMS["lines with blank ones"])] == [":3", ":5", ":7"]
    assert [place for place, _ in read(FORMS["a pretty array"])] == ["#1", "#2", "#3"]


@pytest.mark.parametrize("nothing", ["", "\n \n", "\ufeff", "[]", " [ ] ", '{"data": []}'])
def test_nothing(nothing: str) -> None:
    ((_, (rule, why)),) = read(nothing)
    assert rule == "empty" and why.startswith("the file holds")


@pytest.mark.parametrize(
    "text", ["id,text\n1,x\n2,y", "<html>", "plain words", "5\n6", '"x"', "PK\x03\x04", "---\na: 1\n", "null", "# note"]
)
def test_no_json_is_said_once(text: str) -> None:
    ((_, (rule, why)),) = read(text)
    assert rule == "not-json" and "begins with" in why and "\n" not in why


BAD = {
    "a comma before the brace": ('{"a": 1,}', "Expecting property name"),
    "single quotes": ("{'a': 1}", "Expecting property name"),
    "a bare word": ('{"a": maybe}', "Expecting value"),
    "Python's None": ('{"a": None}', "Expecting value"),
    "a quote in a text": ('{"a": "say "hi" now"}', "Expecting ',' delimiter"),
    "a missing colon": ('{"a" 1}', "Expecting ':' delimiter"),
    "deep nesting": ('{"a": ' + "[" * 90_000 + "]" * 90_000 + "}", "nested too deeply"),
    "a key twice": ('{"a": 1, "a": 2}', "key 'a' occurs twice, with different values"),
    "text": ('"alone"', "expected an object, found text"),
    "a number": ("7", "expected an object, found a number"),
    "null": ("null", "expected an object, found null"),
    "an array": ("[1]", "expected an object, found a list"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_one_costs_one(bad: str) -> None:
    text, why = BAD[bad]
    one, two = '{"x": [{"y": "1"}]}', '{"x": [{"y": "2"}]}'
    for form, place in (
        (f"{one}\n{text}\n{two}\n", ":2"),
        (f"[{one}, {text}, {two}]", "#2"),
        (f"[\n  {one},\n  {text},\n  {two}\n]", "#2"),
        (f'{{"data": [\n{one},\n{text},\n{two}\n]}}', "#2"),
    ):
        first, (where, (_, found)), last = read(form)
        assert (first[1], last[1]) == (json.loads(one), json.loads(two)), form[:80]
        assert where == place and why in found


def test_a_text_without_an_end_costs_one_where_elements_have_lines_of_their_own() -> None:
    rows = ['{"a": "one"}', '{"a": "two}', '{"a": "three"}', '{"a": "four"}']
    for text in ("\n".join(rows), "[\n" + ",\n".join(rows) + "\n]", "[" + ", ".join(rows) + "]"):
        found = good(text)
        assert found[0] == {"a": "one"} and found[-2:] == [{"a": "three"}, {"a": "four"}] and len(found) == 4
        assert found[1][0] == "broken-json"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"a": 1}, {"a": 2}, ]', "a comma before the end of the list: line 1 column 22"),
        ('[{"a": 1},\n {"a": 2},\n]', "a comma before the end of the list: line 3 column 1"),
        ('[{"a": 1} {"a": 2}]', "a comma is missing: line 1 column 11"),
        ('[{"a": 1}, {"a": 2}', "the list has no end"),
        ('{"a": 1}\n{"a": 2}\n{"a": 3},', "column 1"),
    ],
)
def test_commas_and_ends(text: str, why: str) -> None:
    found = good(text)
    assert [row for row in found if isinstance(row, dict)] == [{"a": 1}, {"a": 2}]
    assert [why in row[1] or "a comma behind it" in row[1] for row in found if isinstance(row, tuple)] == [True]


def test_what_is_no_value_is_null() -> None:
    long = "9" * 5000
    assert good(f'{{"a": NaN, "b": -Infinity, "c": {long}, "d": [-{long}, 12]}}') == [
        {"a": None, "b": None, "c": None, "d": [None, 12]}
    ]
    assert good(f'[{{"a": Infinity, "b": {long}}}]') == [{"a": None, "b": None}]


@pytest.mark.parametrize("half", ["\\ud83d", "\\uDC00", "\\ud83d\\ud83d", "\\ude00\\ud83d"])
@pytest.mark.parametrize("form", ["{}", "[{}]", "{}\n{{}}", '{{"data": [{}]}}'])
def test_half_a_surrogate_pair_becomes_a_question_mark(half: str, form: str) -> None:
    row = good(form.format(f'{{"a{half}": "x{half}y \\ud83d\\ude00", "l": ["{half}", {{"d": "{half}"}}]}}'))[0]
    marks = "?" * half.count("\\u")
    assert row == {f"a{marks}": f"x{marks}y 😀", "l": [marks, {"d": marks}]}
    json.dumps(row, ensure_ascii=False).encode("utf-8")


def test_bytes_that_are_no_utf8_cost_one_row() -> None:
    for text in (b'{"a": 1}\n{"a": "\xff"}\n{"a": 3}', b'[{"a": 1}, {"a": "\xe9t\xe9"}, {"a": 3}]'):
        first, (rule, why), last = good(text)
        assert (first, last) == ({"a": 1}, {"a": 3}) and rule == "broken-json" and "not UTF-8" in why


def test_large_ones_cost_one_row() -> None:
    large = json.dumps({"a": "x" * 3000})
    for text in (f'{{"a": 1}}\n{large}\n{{"a": 3}}', f'[{{"a": 1}}, {large}, {{"a": 3}}]'):
        first, (_, (rule, _)), last = read(text, 2000)
        assert (first[1], last[1], rule) == ({"a": 1}, {"a": 3}, "too-large")


def test_a_second_list_is_not_read_silently() -> None:
    train, (rule, why) = good('{"train": [{"a": 1}], "test": [{"a": 2}, {"a": 3}]}')
    assert train == {"a": 1} and rule == "second-list" and "'test' of 2 rows" in why


def test_a_record_that_holds_lists_is_no_wrapper() -> None:
    for row in ({"instruction": "x", "data": [{"y": 1}]}, {"messages": [{"role": "user"}]}, {"x": [{"data": 1}]}):
        assert good(json.dumps(row)) == good(json.dumps(row, indent=1)) == [row]


def test_a_cut_file_keeps_what_is_whole(tmp_path: Path) -> None:
    rows = [{"a": str(hash(n * n)), "n": n} for n in range(20_000)]
    for text in (json.dumps(rows), json.dumps(rows, indent=1), "\n".join(map(json.dumps, rows))):
        path = tmp_path / "cut.json.gz"
        path.write_bytes(gzip.compress(text.encode())[:-20_000])
        found = [row for _, row in read_rows(path)]
        assert 1000 < len(found) < 20_001 and found[:-1] == rows[: len(found) - 1]
        assert isinstance(found[-1], BrokenRow)


def test_memory(tmp_path: Path) -> None:
    """An array of 60 MB is read in a process that may take 60 MB more than it has."""
    path = tmp_path / "a.json"
    row = json.dumps({"a": "word " * 1000})
    path.write_text("[" + ", ".join([row] * 12_000) + "]")
    code = (
        "import resource, sys; from pathlib import Path; from askback.inputs.rows import read_rows\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "count = sum(isinstance(row, dict) for _, row in read_rows(Path(sys.argv[1])))\n"
        "print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    count, kilobytes = map(int, done.stdout.split())
    assert count == 12_000 and kilobytes < 60_000


@pytest.mark.parametrize("form", FORMS)
def test_documents_of_every_form(form: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(FORMS[form].replace('"a"', '"text"'))
    options = Corpus.model_validate({"sources": [{"format": "jsonl", "path": str(path)}]})
    found = list(read_jsonl([path], CorpusSource(format="jsonl", path=str(path)), options))
    assert [one.text for one in found if isinstance(one, Document)] == [ROWS[1]["a"]] and len(found) == 3


def test_evaluation_prompts_of_every_form(tmp_path: Path) -> None:
    rows = [{"prompt": f"What is the colour of number {n}, and why?"} for n in range(3)]
    for text in (json.dumps(rows, indent=1), json.dumps({"data": rows}), "\n".join(map(json.dumps, rows))):
        path = tmp_path / f"{len(text)}.jsonl"
        path.write_text(text)
        assert evaluation_prompts((str(path),)).found_in(rows[2]["prompt"])
    path.write_text("[]")
    with pytest.raises(InputError, match="cannot be read: the file holds an empty list"):
        evaluation_prompts((str(path), str(path)))
