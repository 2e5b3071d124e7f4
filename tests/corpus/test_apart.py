"""A document that takes too long, or too much memory, fails alone; what is behind it is read, and it is not tried again."""

import faulthandler
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from askback.corpus import apart, cut, watched
from askback.corpus.apart import read_apart
from askback.corpus.readers import documents, pieces, read_all
from askback.corpus.watched import Reading
from askback.errors import InputError, MissingExtra, WorkerDied
from askback.execution.outcome import Outcome
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection


def reading(folder: Path, kind: str = "text", **options: Any) -> Reading:
    source = CorpusSource.model_validate({"format": kind, "path": str(folder), **options})
    ((paths, span),) = pieces(source)
    return Reading(source, paths, OPTIONS, span=span)


def texts(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text(f"A text of {name}, which is read as it stands, and says little.\n")
    return folder


def hostile(documents: Iterator[Document | Rejection], doing: str) -> Outcome[Any]:
    """Cut as usual; a document whose name has "bad" in it does what no parser should."""

    def watched() -> Iterator[Document | Rejection]:
        for found in documents:
            if isinstance(found, Document) and "bad" in found.uri:
                harm(doing)
            yield found

    return cut(watched(), OPTIONS)


OPTIONS = Corpus.model_validate({"sources": [{"format": "text", "path": "x"}], "preset": "none", "min_chars": 10})


def harm(doing: str) -> None:
    held = []
    while doing == "over-time":
        pass
    while doing == "over-memory":
        held.append(bytes(10_000_000))
    if doing == "crashed":
        faulthandler.disable()  # of pytest, which would write of it as if the tests had crashed
        os.kill(os.getpid(), signal.SIGABRT)
    if doing == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def all_of(parts: Iterator[Outcome[Any]]) -> Outcome[Any]:
    outcome = Outcome[Any]()
    for part in parts:
        outcome.add(part)
    return outcome


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "SECONDS", 0.2)
    monkeypatch.setattr(apart, "MEMORY", 2**27)


@pytest.mark.parametrize("doing", ["over-time", "over-memory", "crashed"])
@pytest.mark.parametrize("names", [["bad1"], ["a", "bad1", "b"], ["bad1", "bad2", "c"], ["a", "b", "bad1"]])
def test_a_document_fails_alone_and_once(tmp_path: Path, doing: str, names: list[str]) -> None:
    looked = reading(texts(tmp_path, *(f"{name}.txt" for name in names)))
    kept = tmp_path / "over.jsonl"
    first = all_of(read_apart(looked, partial(hostile, doing=doing), kept))
    bad = [str(tmp_path / f"{name}.txt") for name in names if "bad" in name]
    assert [one.uri for one in first.dropped] == bad
    assert {one.rule for one in first.dropped} == {doing}
    assert {one.outcome for one in first.dropped} == {"failed"}
    assert len(first.kept) == len(names) - len(bad)
    assert first.counts["documents"].entered == len(names)
    lines = kept.read_bytes()
    second = all_of(read_apart(looked, partial(hostile, doing=doing), kept))
    assert second == first
    assert kept.read_bytes() == lines
    # A line that a kill cut short counts for nothing.
    kept.write_bytes(lines[:-10])
    assert all_of(read_apart(looked, partial(hostile, doing=doing), kept)) == first


def test_lots_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:03}.txt" for number in range(40)]
    looked = reading(texts(tmp_path, *names), sample=0.7, limit=20)
    whole = cut(documents(looked.source, looked.paths, looked.options, looked.random_seed), looked.options)
    assert len(whole.kept) == 20
    for size in (1, 3, 256):
        monkeypatch.setattr(watched, "LOT", size)
        assert all_of(read_apart(looked, partial(cut, options=looked.options))) == whole


def test_the_limit_counts_what_was_taken_before_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = reading(texts(tmp_path, "a.txt", "b.txt", "bad.txt", "c.txt", "d.txt"), limit=3)
    monkeypatch.setattr(watched, "LOT", 1)
    found = all_of(read_apart(looked, partial(hostile, doing="crashed")))
    assert [Path(one.uri).name for one in (*(one.provenance for one in found.kept), *found.dropped)] == [
        "a.txt",
        "b.txt",
        "c.txt",
        "bad.txt",
    ]


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_rows_behind_a_failure_are_read(tmp_path: Path, bad: int) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"text": "A text of row {n}, which is read as it stands."}}\n' for n in range(5)))

    def use(found: Iterator[Document | Rejection]) -> Outcome[Any]:
        def watched() -> Iterator[Document | Rejection]:
            for one in found:
                if isinstance(one, Document) and one.uri.endswith(f":{bad + 1}"):
                    harm("over-time")
                yield one

        return cut(watched(), OPTIONS)

    found = all_of(read_apart(reading(path, "jsonl"), use))
    assert [one.uri for one in found.dropped] == [f"{path}:{bad + 1}"]
    assert len(found.kept) == 4


@pytest.mark.parametrize("kind", ["jsonl", "text"])
def test_where_reading_does_not_end_the_rest_of_the_file_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name = "rows.jsonl" if kind == "jsonl" else "rows.txt"
    (tmp_path / name).write_text('{"text": "A text that is read as it stands."}\n' * 3)
    real = read_all

    def slow(*given: Any) -> Iterator[Document | Rejection]:
        for number, found in enumerate(real(*given)):
            if number == (2 if kind == "jsonl" else 0):
                harm("over-time")
            yield found

    monkeypatch.setattr("askback.corpus.watched.read_all", slow)
    found = all_of(read_apart(reading(tmp_path / name, kind), partial(cut, options=OPTIONS)))
    (failed,) = found.dropped
    assert (failed.rule, failed.uri) == ("over-time", str(tmp_path / name))
    assert found.counts["documents"].entered == (3 if kind == "jsonl" else 1)
    assert "reading on behind 2" in failed.detail if kind == "jsonl" else "reading it" in failed.detail


def test_what_is_killed_from_outside_is_no_verdict(tmp_path: Path) -> None:
    looked = reading(texts(tmp_path, "a.txt", "bad.txt"))
    with pytest.raises(WorkerDied, match=r"killed at .*bad\.txt"):
        list(read_apart(looked, partial(hostile, doing="killed"), tmp_path / "over.jsonl"))
    assert not (tmp_path / "over.jsonl").exists()


def test_errors_come_through(tmp_path: Path) -> None:
    looked = reading(texts(tmp_path, "a.txt"))

    def wrong(found: Iterator[Document | Rejection]) -> None:
        raise InputError("no such thing")

    def bug(found: Iterator[Document | Rejection]) -> None:
        raise KeyError("x")

    with pytest.raises(InputError, match="no such thing"):
        list(read_apart(looked, wrong))
    with pytest.raises(KeyError) as raised:
        list(read_apart(looked, bug))
    assert "in bug" in "".join(raised.value.__notes__)


def test_whoever_stops_looking_leaves_no_process(tmp_path: Path) -> None:
    looked = reading(texts(tmp_path, "a.txt"))

    def identity(found: Iterator[Document | Rejection]) -> int:
        list(found)
        return os.getpid()

    parts = read_apart(looked, identity)
    process = next(parts)
    assert process != os.getpid()
    parts.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_the_process_ends_with_the_one_it_was_forked_from(tmp_path: Path) -> None:
    looked = reading(texts(tmp_path, "a.txt"))
    read, write = os.pipe()

    def stay(found: Iterator[Document | Rejection]) -> None:
        os.write(write, b"%d" % os.getpid())
        time.sleep(60)

    worker = os.fork()
    if not worker:
        list(read_apart(looked, stay))
    process = int(os.read(read, 20))
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("still there")


def test_what_cannot_begin_ends_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise MissingExtra("x", "y", "Reading")

    def kill(number: int, _: int) -> None:
        raise AssertionError(f"killed {number}")

    looked = reading(texts(tmp_path, "a.txt"))
    monkeypatch.setattr("askback.corpus.apart.read_all", missing)
    monkeypatch.setattr(os, "kill", kill)
    with pytest.raises(MissingExtra):
        list(read_apart(looked, partial(cut, options=OPTIONS)))


def test_a_process_that_is_kept_does_one_piece_after_the_other(tmp_path: Path) -> None:
    use = partial(noted, text="kept")
    found, idle = [], list[Any]()
    for names in (["a.txt"], ["b.txt", "bad.txt", "c.txt"], ["d.txt"], ["e.txt"]):
        folder = tmp_path / names[0]
        folder.mkdir()
        found += list(read_apart(reading(texts(folder, *names)), use, idle=idle))
    numbers = [number for number, _ in found]
    assert os.getpid() not in numbers
    # The second document of the second piece ends the first process.
    assert len(dict.fromkeys(numbers)) == 2 and numbers[-1] == numbers[-2]
    read = [Path(uri).name for _, uris in found for uri in uris]
    assert read == ["a.txt", "b.txt", "bad.txt over-time", "c.txt", "d.txt", "e.txt"]
    (child,) = idle
    child.end()
    with pytest.raises(ProcessLookupError):
        os.kill(numbers[-1], 0)


def noted(documents: Iterator[Document | Rejection], text: str) -> tuple[int, list[str]]:
    uris = []
    for found in documents:
        if isinstance(found, Document) and "bad" in found.uri:
            harm("over-time")
        uris.append(found.uri if isinstance(found, Document) else f"{found.uri} {found.rule}")
    return os.getpid(), uris
