"""What a rewriter learns from: triples that are read, and those that are made of seed pairs."""

import json
from pathlib import Path
from typing import Any

import pytest

from askback.execution.shards import write_records
from askback.recipe import RowSource
from askback.records import Example, Message, Provenance, exchange
from askback.seed.triples import PASSAGE, make_triples, passage, read_triples
from askback.text.words import normal

TEXT, Q, A = "The boat is nine feet long and red.", "How long is the boat?", "It is nine feet long."


def read(folder: Path, *rows: dict[str, Any], held_out: frozenset[str] = frozenset()) -> list[tuple[str, ...]]:
    """Return triples as (text, question, answer), then others as (rule,)."""
    path = folder / "triples.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    made = read_triples([RowSource(path=str(path))], held_out)
    counts = made.counts["triples"]
    assert counts.entered == len(rows) and counts.balanced()
    return [(one.original, one.instruction, one.output) for one in made.kept] + [(one.rule,) for one in made.dropped]


@pytest.mark.parametrize(
    "row",
    [
        {"context": TEXT, "question": Q, "answer": A},
        {"instruction": Q, "context": TEXT, "response": A, "category": "closed_qa"},
        {"instruction": Q, "input": TEXT, "output": A},
        {"original": TEXT, "messages": [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]},
    ],
)
def test_a_row_is_a_text_beside_a_pair(row: dict[str, Any], tmp_path: Path) -> None:
    assert read(tmp_path, row) == [(TEXT, Q, A)]


def test_records_of_rewrites_are_triples(tmp_path: Path) -> None:
    """As in the folder of a step of back_and_forth."""
    one = Example("a", exchange(Q, A), Provenance(), "augmented", "train", original=TEXT)
    write_records(tmp_path / "kept-00000.parquet", Example, [one])
    (kept,) = read_triples([RowSource(path=str(tmp_path / "kept-00000.parquet"))], frozenset()).kept
    assert (kept.original, kept.instruction, kept.output, kept.split) == (TEXT, Q, A, "train")


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ({"question": Q, "answer": A}, "broken"),
        ({"context": "  ", "question": Q, "answer": A}, "broken"),
        ({"context": [TEXT], "question": Q, "answer": A}, "broken"),
        ({"context": TEXT, "question": Q}, "broken"),
        ({"context": TEXT, "question": Q, "answer": " "}, "empty"),
        ({"context": TEXT, "question": Q.upper(), "answer": A}, "held-out"),
    ],
)
def test_a_row_that_is_no_triple_is_counted(row: dict[str, Any], rule: str, tmp_path: Path) -> None:
    assert read(tmp_path, row, held_out=frozenset({normal(Q)})) == [(rule,)]


def test_a_row_that_stands_there_twice_counts_once(tmp_path: Path) -> None:
    row = {"context": TEXT, "question": Q, "answer": A}
    assert read(tmp_path, row, row | {"context": "A red boat."}, row)[2:] == [("duplicate",)]


def pairs(count: int) -> list[Example]:
    return [
        Example(str(n), exchange(f"Why {n}?", f"It is {n}.\n\nSo it is."), Provenance(), "seed", "train")
        for n in range(count)
    ]


def test_a_made_triples_answer_is_in_its_text_beside_passages_of_others() -> None:
    made = make_triples(pairs(200), 3).kept
    assert made == make_triples(pairs(200), 3).kept != make_triples(pairs(200), 4).kept
    kinds = {
        kind: sum((one.original.startswith(one.output), one.original.endswith(one.output)) == kind for one in made)
        for kind in ((True, True), (True, False), (False, True), (False, False))
    }
    assert all(30 <= count <= 70 for count in kinds.values()), kinds
    answers = {one.output for one in made}
    for one in made:
        before, after = one.original.split(one.output)
        assert {before.strip(), after.strip()} <= answers - {one.output} | {""}
    assert {one.id for one in made}.isdisjoint(one.id for one in pairs(200))


def test_a_single_pair_has_nothing_beside_it_and_a_conversation_is_left_out() -> None:
    (one,) = pairs(1)
    assert [made.original for made in make_triples([one], 0).kept] == [one.output]
    longer = Example(
        "b", (*one.messages, Message("user", "And?"), Message("assistant", "So.")), Provenance(), "seed", "train"
    )
    made = make_triples([longer], 0)
    assert not made.kept and [drop.rule for drop in made.dropped] == ["several-exchanges"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One.\n\nTwo.", "One.\n\nTwo."),
        (f"One.\n\n{'x' * PASSAGE}\n\nThree.", "One."),
        ("x" * (PASSAGE + 1), ""),
        (f"```\na = 1\n\n{'x' * PASSAGE}\n```", ""),
    ],
)
def test_a_passage_is_whole_paragraphs_and_no_half_of_code(text: str, found: str) -> None:
    assert passage(text) == found
