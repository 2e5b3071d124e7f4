"""The file of labels: what is on disk counts once, whatever was killed; people agree as far as the figures say."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from askback.curate.label_file import (
    Event,
    LabelFile,
    Labels,
    Shown,
    as_line,
    events,
    now,
    pair_of,
    read_labels,
    split_of,
)
from askback.curate.labels import teaching, whole
from askback.curate.teach_probe import taught_pairs
from askback.records import exchange

PAIRS = [exchange(f"What of {n}?", f"This of {n}.") for n in range(40)]
IDS = [pair_of(pair) for pair in PAIRS]


def label(number: int, given: str, by: str = "ada", id: str = "", repeat: bool = False) -> Event:
    shown = (Shown(IDS[number], PAIRS[number]),)
    return Event(
        id=id or f"{by}{number}{given}{repeat}", kind="label", by=by, at=now(), pairs=shown, given=given, repeat=repeat
    )


def undo(event: Event) -> Event:
    return Event(id=f"undo-{event.id}", kind="undo", by=event.by, at=now(), given=event.id)


def newest(labels: Labels) -> str:
    last = labels.last("ada")
    return last.given if last else ""


def levels(path: Path) -> dict[tuple[str, str], int]:
    return {key: event.level for key, event in read_labels(path).standing.items()}


def test_a_label_is_read_back_with_its_text(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "labels.jsonl")
    file.add(label(0, "4"))
    file.add(label(1, "n"))
    assert levels(file.path) == {("ada", IDS[0]): 4, ("ada", IDS[1]): 1}
    first = json.loads(file.path.read_text().splitlines()[0])
    assert (first["level"], first["split"]) == (4, split_of(IDS[0]))
    assert [event.pairs[0].messages for event in events(file.path)] == PAIRS[:2]


def test_what_is_sent_twice_counts_once(tmp_path: Path) -> None:
    one, other = LabelFile(tmp_path / "labels.jsonl"), LabelFile(tmp_path / "labels.jsonl")
    one.add(label(0, "4"))
    other.add(label(0, "4"))
    assert len(file_lines(one.path)) == 1
    with one.path.open("ab") as file:
        file.write(as_line(label(0, "4")))
    assert len(read_labels(one.path).by_person["ada"]) == 1 == len(list(events(one.path)))


def file_lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line]


def test_a_line_cut_at_any_byte_costs_that_line_alone(tmp_path: Path) -> None:
    line = as_line(label(1, "5"))
    for cut in sorted({*range(0, len(line), 25), len(line) - 2, len(line) - 1}):
        path = tmp_path / f"{cut}" / "labels.jsonl"
        path.parent.mkdir()
        LabelFile(path).add(label(0, "2"))
        with path.open("ab") as file:
            file.write(line[:cut])
        assert levels(path) == {("ada", IDS[0]): 2}, "what has no end was never written"
        LabelFile(path).add(label(2, "3"))
        after = levels(path)
        assert after.pop(("ada", IDS[2])) == 3 and after.pop(("ada", IDS[0])) == 2
        assert after == ({} if cut < len(line) - 1 else {("ada", IDS[1]): 5}), "at most what was sent, and once"


def test_undoing_brings_back_what_stood_before(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "labels.jsonl")
    for event in (label(0, "2"), label(0, "5"), label(1, "y")):
        file.add(event)
    labels = file.refresh()
    assert newest(labels) == "y"
    labels = file.add(undo(labels.by_person["ada"][-1]))
    assert labels.label("ada", IDS[1]) is None and levels(file.path) == {("ada", IDS[0]): 5}
    assert newest(labels) == "5"
    file.add(undo(labels.by_person["ada"][-1]))
    assert levels(file.path) == {("ada", IDS[0]): 2}
    edit = Event(
        id="e", kind="edit", by="ada", at=now(), pairs=(Shown(IDS[0], PAIRS[0]),), edited=exchange("Why?", "So.")
    )
    assert file.add(edit).edits["ada", IDS[0]].edited == exchange("Why?", "So.")
    assert [event.pairs[0].messages for event in events(file.path) if event.kind == "edit"] == [PAIRS[0]]
    labels = file.add(undo(edit))
    assert not labels.edits and labels.label("ada", IDS[0]), "the label stays"


def test_two_people_add_to_one_file(tmp_path: Path) -> None:
    ada, bob = LabelFile(tmp_path / "labels.jsonl"), LabelFile(tmp_path / "labels.jsonl")
    for number in range(10):
        ada.add(label(number, "5" if number < 5 else "1"))
        bob.add(label(number, "4" if number < 4 else "2", by="bob"))
    found = ada.refresh().agreement()
    assert found["people"] == {"ada": 10, "bob": 10} and found["kappa"]["ada, bob"]["pairs"] == 10
    # Nine of ten agree; by chance (5 x 4 + 5 x 6) / 100 would.
    assert found["kappa"]["ada, bob"]["kappa"] == pytest.approx((0.9 - 0.5) / 0.5)
    assert 0.5 < found["alpha"] < 1
    wanted = ada.refresh().verdicts()
    assert [wanted[id].keep for id in IDS[:4]] == [True] * 4 and IDS[4] not in wanted, "a tie is the judge's"


def test_repeats_count_for_agreement_alone(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "labels.jsonl")
    for event in (label(0, "5"), label(1, "4"), label(0, "1", repeat=True), label(1, "5", repeat=True)):
        file.add(event)
    assert levels(file.path) == {("ada", IDS[0]): 5, ("ada", IDS[1]): 4}
    assert file.refresh().agreement()["repeats"] | {"kappa": None} == {"pairs": 2, "same": 1, "kappa": None}


def test_no_test_label_teaches(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "labels.jsonl")
    for number in range(40):
        file.add(label(number, "4"))
    taught = {one.pair for one in teaching(file.path)}
    assert taught == {id for id in IDS if split_of(id) == "dev"} and 20 < len(taught) < 36


def test_pairs_that_taught_are_known_in_any_text_that_people_saw(tmp_path: Path) -> None:
    taught, measured = LabelFile(tmp_path / "taught.jsonl"), LabelFile(tmp_path / "measured.jsonl")
    for number in range(40):
        own, edited = (Shown(IDS[number], exchange(f"{how} {number}?", "So.")) for how in ("Of old", "Of late"))
        taught.add(replace(label(number, "4"), pairs=(own,)))
        measured.add(replace(label(number, "4", by="bob"), pairs=(edited,)))
    dev = sum(split_of(id) == "dev" for id in IDS)
    for path in (taught.path, measured.path):
        seen = [pair_of(one.messages) for one in whole(path)]
        left = set(seen) - taught_pairs(str(taught.path), str(path))
        assert len(left) == 40 - dev, "only pairs of the split test measure"
    assert taught_pairs("", str(measured.path)) == frozenset()


def test_what_is_no_event_is_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    good = as_line(label(0, "4"))
    for bad in ("{}", "[1]", "null", '{"kind": "label", "id": "x", "by": "a", "given": "7", "pairs": []}', "\x00"):
        path.write_bytes(good + bad.encode() + b"\n")
        found = read_labels(path)
        assert len(found.standing) == 1 and found.damaged == 1


@pytest.mark.parametrize("at", ["", "yesterday", "2026-13-01", "0001-01-01"])
def test_an_event_needs_a_time(at: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_bytes(as_line(label(0, "4")) + as_line(replace(label(1, "4"), at=at)))
    found = read_labels(path)
    assert list(found.standing) == [("ada", IDS[0])] and found.damaged == 1
