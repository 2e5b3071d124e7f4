"""Records reach disk whole or not at all, and come back as they were."""

import errno
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askback.errors import StorageError
from askback.execution.outcome import SAMPLED, Outcome, sampled
from askback.execution.shards import (
    Records,
    columns,
    is_done,
    piece_outcome,
    read_records,
    rejections,
    write_outcome,
    write_records,
)
from askback.owned import atomic, claim
from askback.records import Candidate, Example, Judgement, Message, Probe, Provenance, Segment, exchange, reject


def segment(number: int, text: str = "text") -> Segment:
    return Segment(f"id{number}", text, ["Top", "Sub"], Provenance("file:x", "html", "CC0-1.0", "en"))


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    judgements = [
        Judgement("a", "c", "rubric", 3.5, [0.1, 0.2, 0.3, 0.2, 0.2], 0.9, [], [], "p", "m"),
        Judgement("b", "d", "rubric", None, [], None, ["no score here"], [2.5, 3.5], "p", "m"),
    ]
    write_records(tmp_path / "x.parquet", Judgement, judgements)
    assert list(read_records(tmp_path / "x.parquet")) == judgements


def test_some_records_are_picked_by_their_places(tmp_path: Path) -> None:
    """From several files, of several row groups."""
    some = [segment(number) for number in range(5000)]
    write_records(tmp_path / "kept-00000.parquet", Segment, some[:4500])
    write_records(tmp_path / "kept-00001.parquet", Segment, some[4500:])
    wanted = np.isin(np.arange(5000), [0, 2047, 2048, 4499, 4500, 4999])
    records = Records[Segment](tmp_path, "")
    assert [one.id for one in records.picked(wanted)] == [f"id{at}" for at in np.flatnonzero(wanted)]
    assert columns([records, records], Segment, "id")["id"].to_pylist() == [one.id for one in some] * 2
    assert columns([], Segment, "id", "text").column_names == ["id", "text"]


def conversation(number: int, turns: int) -> Example:
    messages = tuple(
        Message("user", f"Ask {at}") if at % 2 == 0 else Message("assistant", f"Answer {at}", f"s{at}")
        for at in range(turns)
    )
    return Example(f"e{number}", messages, Provenance(f"u{number}", "html", language="en"), "augmented", "train", 4.5)


def test_conversations_come_back_as_they_were(tmp_path: Path) -> None:
    """Also those in the middle of a file, and one without a turn."""
    some = [conversation(number, 2 * (number % 4)) for number in range(600)]
    write_records(tmp_path / "x.parquet", Example, some)
    assert list(read_records(tmp_path / "x.parquet")) == some
    assert list(read_records(tmp_path / "x.parquet", 301, 333)) == some[301:333]


def test_a_conversation_is_a_list_of_structs_to_others(tmp_path: Path) -> None:
    write_records(tmp_path / "x.parquet", Example, [conversation(1, 4), conversation(2, 2)])
    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "x.parquet"), cache_dir=str(tmp_path / "cache"))
    first = rows["train"][0]
    assert first["messages"][3] == {"role": "assistant", "content": "Answer 3", "segment_id": "s3"}
    assert first["provenance"]["uri"] == "u1" and first["origin"] == "augmented"
    frame = pq.read_table(tmp_path / "x.parquet").to_pandas()
    assert [len(turns) for turns in frame["messages"]] == [4, 2]


FLAT: dict[type, dict[str, Any]] = {
    Segment: {"id": "s", "text": "t", "header_path": ["A"]},
    Example: {"id": "e", "instruction": "Ask", "output": "So.", "origin": "seed", "split": "train", "score": None},
    Candidate: {
        "id": "c",
        "segment_id": "s",
        "instruction": "Ask",
        "output": "So.",
        "header_path": ["A"],
        "prompt_id": "p",
        "model_id": "m",
        "seed": 7,
    },
    Probe: {"id": "p", "pair_id": "q", "kind": "true", "instruction": "Ask", "output": "So.", "label": None},
}
KNOWN = {"uri": "u", "source": "html", "licence": "CC0-1.0", "language": "en", "title": "T", "date": "2020-01-02"}


@pytest.mark.parametrize("kind", FLAT)
def test_records_of_the_first_edition_are_read(kind: type, tmp_path: Path) -> None:
    """It had a column each for instruction, output and what is known of a source; of a probe, the uri alone."""
    known = {"uri": "u"} if kind is Probe else KNOWN
    table = pa.Table.from_pylist([FLAT[kind] | known])
    path = tmp_path / "kept-00000.parquet"
    pq.write_table(table.replace_schema_metadata({"askback.record": kind.__name__}), path)
    about = Provenance(**known)
    expected = {
        Segment: Segment("s", "t", ["A"], about),
        Example: Example("e", exchange("Ask", "So."), about, "seed", "train"),
        Candidate: Candidate("c", exchange("Ask", "So.", "s"), about, ["A"], "p", "m", 7),
        Probe: Probe("p", exchange("Ask", "So."), about, "q", "true"),
    }
    assert list(read_records(path)) == [expected[kind]]
    assert list(Records[Any](tmp_path, "").picked(np.array([True]))) == [expected[kind]]


def test_any_parquet_reader_opens_them(tmp_path: Path) -> None:
    write_records(tmp_path / "x.parquet", Segment, [segment(1)])
    assert pq.read_table(tmp_path / "x.parquet").column("header_path").to_pylist() == [["Top", "Sub"]]


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_records(tmp_path / name, Segment, [segment(1), segment(2)])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@settings(deadline=None)
@given(sizes=st.lists(st.integers(0, 7), max_size=5), length=st.integers(1, 40))
def test_pieces_hold_all_records_in_their_order(
    sizes: list[int], length: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rows")
    number = 0
    for piece, size in enumerate(sizes):
        outcome = Outcome[Any]()
        for _ in range(size):
            outcome.keep("segments", segment(number))
            number += 1
        write_outcome(folder, piece, Segment, outcome)
    records = Records[Any](folder, "")
    whole = list(records)
    assert len(records) == len(whole) == number
    pieces = [list(piece) for piece in records.cut(length)]
    assert pieces == [whole[start : start + length] for start in range(0, number, length)]


def test_a_long_file_is_sliced_rightly(tmp_path: Path) -> None:
    write_records(tmp_path / "x.parquet", Segment, [segment(n) for n in range(2500)])
    rows = list(read_records(tmp_path / "x.parquet", 1000, 2100))
    assert [row.id for row in rows] == [f"id{n}" for n in range(1000, 2100)]


def test_a_file_that_is_made_again_is_read_again(tmp_path: Path) -> None:
    claim(tmp_path, "step")
    for text in ("before", "after"):
        write_records(tmp_path / "kept-00000.parquet", Segment, [segment(1, text)])
        assert [one.text for one in Records[Any](tmp_path, "")] == [text]


def test_an_outcome_is_done_only_when_its_kept_file_is_there(tmp_path: Path) -> None:
    outcome = Outcome[Any]()
    outcome.keep("segments", segment(1))
    outcome.drop(reject("id2", "segments", "too-short", "3 characters, at least 600"))
    assert not is_done(tmp_path, 0)
    write_outcome(tmp_path, 0, Segment, outcome)
    assert is_done(tmp_path, 0)
    counts = piece_outcome(tmp_path, 0).counts["segments"]
    assert (counts.entered, counts.kept, counts.rejected, counts.failed) == (2, 1, 1, 0)
    assert [drop.rule for drop in rejections(tmp_path)] == ["too-short"]


def test_of_many_dropped_by_a_rule_a_sample_is_kept_and_all_are_counted(tmp_path: Path) -> None:
    outcomes = [Outcome[Any](), Outcome[Any]()]
    numbers = list(range(3000))
    for outcome, order in zip(outcomes, (numbers, numbers[::-1]), strict=True):
        for number in order:
            outcome.drop(reject(f"id{number}", "segments", "too-short"))
        outcome.drop(reject("last", "segments", "links"))
        assert len(outcome.dropped) <= 2 * SAMPLED * 2
    write_outcome(tmp_path, 0, Segment, outcomes[0])
    stored = piece_outcome(tmp_path, 0)
    assert stored.reasons == {"segments/too-short": 3000, "segments/links": 1}
    assert stored.counts["segments"].rejected == 3001
    dropped = [drop.id for drop in rejections(tmp_path)]
    assert len(dropped) == SAMPLED + 1 and dropped[-1] == "last"
    assert set(dropped) == {drop.id for drop in sampled(outcomes[1].dropped)}, "whatever the order"
    assert 320 < sum(id < "id2" for id in dropped) < 420, "drawn from all: 1,112 of 3,000 begin with id0 or id1"


def test_tallies_are_kept_beside_the_counts(tmp_path: Path) -> None:
    outcome = Outcome[Any]()
    outcome.tally("redacted ip", 2)
    outcome.tally("redacted ip", 3)
    write_outcome(tmp_path, 0, Segment, outcome)
    write_outcome(tmp_path, 1, Segment, Outcome[Any]())
    assert [piece_outcome(tmp_path, piece).tallies for piece in (0, 1)] == [{"redacted ip": 5}, {}]


def test_an_empty_piece_is_a_piece(tmp_path: Path) -> None:
    write_outcome(tmp_path, 0, Segment, Outcome[Any]())
    assert is_done(tmp_path, 0) and list(Records[Any](tmp_path, "")) == []


def test_nothing_appears_when_writing_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the disk is full") as caught, atomic(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(caught.value) and caught.value.exit_code == 7
