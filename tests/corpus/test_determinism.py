"""What a run makes of a document depends on the document alone, and on files as they are now."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from askback.corpus import build
from askback.corpus.apart import read_apart
from askback.corpus.build import Part
from askback.corpus.filters.word_lists import words_of
from askback.corpus.markup import from_rst
from askback.corpus.readers import pieces
from askback.engines.worker_context import WorkerContext
from askback.errors import Drift, InputError, reason_of
from askback.execution.identity import check_sources, file_fingerprint
from askback.execution.shards import write_json
from askback.inputs.contamination import evaluation_prompts
from askback.inputs.local_files import open_file, stamp
from askback.recipe import Corpus, CorpusSource
from askback.records import Document

PLAIN = CorpusSource(format="text", path=__file__)
STRANGERS = {
    "a role": ".. role:: strong(emphasis)\n.. role:: ref(literal)\n\nText\n",
    "a default role": ".. default-role:: literal\n\nText\n",
    "roles of classes": ".. role:: emphasis\n   :class: odd\n.. role:: code(raw)\n   :format: html\n\nText\n",
    "roles of other names": ".. role:: guilabel(subscript)\n.. role:: math(code)\n   :language: c\n\nText\n",
    "a default role that is one of its own": ".. role:: x(strong)\n.. default-role:: x\n\n`Text`\n",
    "a role in a directive": ".. note::\n\n   .. role:: term(strong)\n\n   Text\n",
    "a broken page": ".. default-role:: literal\n\n"
    + " " * 3
    + ".. |a| replace:: |a|\n\n"
    + "".join("  " * n + "* a\n\n" for n in range(200)),
}
PAGE = (
    "Page\n====\n\nAn `interpreted` word, :strong:`a strong one`, :ref:`a reference`, :emphasis:`one more`, :code:`code`,\n"
    ":guilabel:`a label`, :math:`x`, :term:`a term` and :x:`what nobody knows`.\n"
)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_page_does_not_alter_the_next(stranger: str) -> None:
    alone = from_rst(PAGE)
    with suppress(RecursionError):
        from_rst(STRANGERS[stranger])
    assert from_rst(PAGE) == alone


@pytest.mark.parametrize(
    "text",
    [
        "It is |now|.\n\n.. |now| date::\n",
        "It is |now|.\n\n.. |now| date:: %Y-%m-%d %H:%M:%S.%f\n",
        "It is |now|.\n\n.. |now| DATE:: %s\n",
        ".. date:: %c\n\nText\n",
        ".. include:: /etc/hostname\n\nText\n",
        ".. include:: /etc/hostname\n   :literal:\n\nText\n",
        ".. raw:: html\n   :file: /etc/hostname\n\nText\n",
        ".. csv-table::\n   :file: /etc/hostname\n\nText\n",
        ".. |f| include:: /etc/hostname\n\n|f| text\n",
        ".. literalinclude:: /etc/hostname\n\nText\n",
        ":Date: $Date$\n\nText\n",
    ],
)
def test_no_clock_and_no_file_gets_into_a_document(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("asked for the time")

    monkeypatch.setattr(time, "strftime", asked)
    html = from_rst(text)
    host = Path("/etc/hostname")
    assert "ext" in html or "It is" in html
    assert str(time.localtime().tm_year) not in html
    assert not host.exists() or host.read_text().strip() not in html


def write_later(path: Path, text: str) -> None:
    """Write a file again with as many bytes, so that its time of change alone tells."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


PROMPT = '{"instruction": "what is one and what is two and so on"}'


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        (PROMPT, lambda path: file_fingerprint(path)),
        ("one\ntwo\n", lambda path: words_of(str(path)).found_in("one two")[0]),
        (PROMPT, lambda path: evaluation_prompts((str(path),)).found_in("what is one and what is two and so on")),
        (PROMPT, lambda path: build.sources(Corpus(sources=[CorpusSource(format="jsonl", path=str(path))]))),
        (PROMPT, lambda path: build.sources(Corpus(sources=[PLAIN], decontaminate=[str(path)]))),
        (
            PROMPT,
            lambda path: build.sources(
                Corpus.model_validate({"sources": [PLAIN], "word_lists": [{"path": str(path)}]})
            ),
        ),
    ],
)
def test_a_file_that_changed_is_read_again(tmp_path: Path, text: str, ask: Callable[[Path], Any]) -> None:
    path = tmp_path / "words.jsonl"
    path.write_text(text)
    first = ask(path)
    assert ask(path) == first
    write_later(path, text.replace("two", "six"))
    assert ask(path) != first


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.txt"
    options = Corpus.model_validate({"sources": [{"format": "text", "path": str(page)}], "min_chars": 1})
    (source,) = options.sources
    page.write_text("A text.\n")
    ((paths, span),) = pieces(source)
    work = partial(build.cut_piece, options, 0, tmp_path, WorkerContext(), Part(0, [stamp(page)], source, paths, span))
    assert work().counts["documents"].entered == 1

    def written() -> None:
        write_later(page, "A tale.\n")

    def replaced() -> None:
        times = page.stat()
        (tmp_path / "new").write_text("A tale.\n")
        os.utime(tmp_path / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
        (tmp_path / "new").replace(page)

    for change in (written, replaced, page.unlink):
        work = partial(
            build.cut_piece, options, 0, tmp_path, WorkerContext(), Part(0, [stamp(page)], source, paths, span)
        )

        def read(*given: Any, change: Callable[[], None] = change, **more: Any) -> Any:
            yield from read_apart(*given, **more)
            change()

        monkeypatch.setattr(build, "read_apart", read)
        with pytest.raises(InputError, match=r"page\.txt: changed while it was read"):
            work()


def test_a_remote_file_that_changes_while_it_is_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/changing/a.txt", b"A text.")
    options = Corpus.model_validate({"sources": [{"format": "text", "path": "memory://changing/a.txt"}]})
    (source,) = options.sources
    ((paths, span),) = pieces(source)
    work = partial(build.cut_piece, options, 0, tmp_path, WorkerContext(), Part(0, [], source, paths, span))
    assert work().counts["documents"].entered == 1
    memory.pipe("/changing/a.txt", b"A tale.")
    with pytest.raises(InputError, match=r"a\.txt: changed while it was read"):
        work()
    memory.rm("/changing/a.txt")
    with pytest.raises(InputError):
        work()


def test_sources_are_looked_at_again_when_a_step_is_done(tmp_path: Path) -> None:
    write_json(tmp_path / "plan.json", {"identity": {"sources": {"a": "1", "b": "2"}}})
    check_sources(tmp_path, {"a": "1", "b": "2"})
    with pytest.raises(Drift, match=r"b: '2' → '3'.*--redo"):
        check_sources(tmp_path, {"a": "1", "b": "3"})


@pytest.mark.parametrize("kind", ["html", "markdown", "text", "pdf", "warc", "jsonl", "parquet"])
def test_what_is_no_file_is_passed_over_or_refused(tmp_path: Path, kind: str) -> None:
    import socket

    from askback.corpus.readers import documents, reader

    suffix = reader(kind).suffixes[0]
    os.mkfifo(tmp_path / f"pipe{suffix}")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / f"s{suffix}"))
    (tmp_path / f"device{suffix}").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"no .* files in this folder"):
        pieces(CorpusSource.model_validate({"format": kind, "path": str(tmp_path)}))
    for name in ("pipe", "s", "device"):
        source = CorpusSource.model_validate({"format": kind, "path": str(tmp_path / f"{name}{suffix}")})
        with pytest.raises(InputError, match="not a file"):
            pieces(source)
        if kind != "pdf":  # one that has taken the place of a file since
            (found,) = documents(source, [tmp_path / f"{name}{suffix}"], Corpus(sources=[source]))
            assert not isinstance(found, Document) and found.outcome == "failed"
    with pytest.raises(OSError, match="not a file"):
        open_file(tmp_path / f"pipe{suffix}")
    with pytest.raises(InputError, match="not a file"):
        file_fingerprint(tmp_path / f"pipe{suffix}")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("<object at 0x7f32aa10bc40> is odd", "<object at …> is odd"),
        ("loop for IndirectObject(6, 0, 140588673803984).", "loop for IndirectObject(6, 0, …)."),
        ("two\n  lines, 0x7F32AA10BC40", "two lines, …"),
        ("the number 123456 of 0xff", "the number 123456 of 0xff"),
        ("x" * 400, "x" * 300),
    ],
)
def test_messages_hold_no_address(message: str, told: str) -> None:
    assert reason_of(ValueError(message)) == told


def test_recursion_is_told_alike_wherever_it_ends() -> None:
    for message in ("maximum recursion depth exceeded in comparison", "maximum recursion depth exceeded"):
        assert reason_of(RecursionError(message)) == "nested too deeply"
