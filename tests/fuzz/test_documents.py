"""Documents that are mutated or made from a grammar, of every format: nothing is raised or hangs, every document is
accounted for, and neither order nor neighbours nor workers change what becomes of one."""

import bz2
import gzip
import io
import json
import random
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from askback import owned
from askback.corpus import build, cut, watched
from askback.corpus.apart import read_apart
from askback.corpus.readers import pieces
from askback.corpus.watched import Reading
from askback.engines.worker_context import WorkerContext
from askback.execution.outcome import Outcome
from askback.execution.processes import Drain, Work, run_pieces
from askback.inputs.local_files import stamp
from askback.recipe import Corpus, CorpusSource
from tests.corpus import hostile
from tests.corpus.pdfs import pdf
from tests.fuzz import SIZE

LOT = 60
"""Documents of one piece."""
PROSE = (
    "The loaf is mixed in the evening, rests until it has doubled, and is baked before the house wakes.",
    "Whoever keeps bees knows the sound of a hive that is about to swarm, and has a box ready.",
    "Der Teig ruht über Nacht. 麵團靜置一夜。Тесто отдыхает ночь. العجين يرتاح ليلة. 🍞",
)
GRAMMAR = {
    "html": (
        *(
            "<p>",
            "</p>",
            "<div class='nav'>",
            "</div>",
            "<h1>",
            "</h1>",
            "<h2 id=x>",
            "</h2>",
            "<ul><li>",
            "</li></ul>",
        ),
        *(
            "<table><tr><td>",
            "</td></tr></table>",
            "<pre><code class='language-c'>",
            "</code></pre>",
            "<a href='/x'>",
            "</a>",
        ),
        *(
            "<b>",
            "</b>",
            "<sup>1</sup>",
            "<br/>",
            "<script>",
            "</script>",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?php ",
            "?>",
        ),
        *(
            "&amp;",
            "&#0;",
            "&#x1F600;",
            "&nbsp",
            "<svg><g>",
            "</g></svg>",
            "<math><mi>x</mi></math>",
            "<time datetime='2024",
        ),
        *(
            "<template shadowrootmode=open>",
            "</template>",
            "<details><summary>",
            "</details>",
            "<p hidden>",
            "\x00",
            "\u202e",
        ),
        *(
            "<blockquote>",
            "</blockquote>",
            "<dl><dt>",
            "<dd>",
            "</dl>",
            "<form>",
            "</form>",
            "<p a='",
            '" b="',
            "<",
            ">",
            "/",
        ),
    ),
    "markdown": (
        *(
            "# ",
            "## ",
            "\n\n",
            "\n",
            "- ",
            "1. ",
            "> ",
            "```\n",
            "~~~",
            "`",
            "*",
            "**",
            "_",
            "[",
            "](",
            ")",
            "![",
            "<",
            ">",
        ),
        *(
            "|a|b|\n|-|-|\n|",
            "---\n",
            "+++\n",
            "***\n",
            "[a]: b\n",
            "\t",
            "    ",
            "\\",
            "&amp;",
            "<div>\n",
            "</div>\n",
            "\r\n",
        ),
        *(
            "[!NOTE]\n",
            "{#id .class}",
            "::: warning\n",
            ":::\n",
            "===\n",
            "~~",
            "$x$",
            "<!--",
            "-->",
            "\u200b",
            "{: .a}",
        ),
    ),
    "rst": (
        *(
            "\n\n",
            "\n",
            "====\n",
            "----\n",
            "* ",
            "#. ",
            ".. ",
            "::\n\n   ",
            "``",
            "`",
            "`_",
            "*",
            "**",
            "|",
            "|_",
            "_",
            "__ ",
        ),
        *(
            ":ref:`",
            ":code:`",
            ".. note:: ",
            ".. code-block:: c\n\n   ",
            ".. role:: x(strong)\n",
            ".. default-role:: code\n",
        ),
        *(
            ".. |a| replace:: ",
            "|a|",
            ".. _a: ",
            "a_",
            "[#]_",
            "[1]_",
            ".. [1] ",
            "+--+\n|a |\n+--+\n",
            "== ==\na  b\n== ==\n",
        ),
        *(
            ":a: ",
            "-a  b\n",
            "| ",
            "\t",
            "   ",
            "\\",
            ".. include:: /etc/passwd\n",
            ".. |d| date::\n",
            "|d|",
            ".. contents::\n",
        ),
        *(
            ".. table::\n\n   ",
            ".. list-table::\n\n   * - ",
            ".. math::\n\n   ",
            ".. raw:: html\n\n   ",
            ".. image:: a\n",
            ">>> ",
        ),
    ),
    "text": ("\n\n", "\n", "\r\n", "\t", "- ", "\x0c", "\x00", "\ufeff", "\u2028", "#", " " * 50, "=" * 20, "."),
}
SUFFIXES = {"html": ".html", "xhtml": ".xhtml", "markdown": ".md", "rst": ".rst", "text": ".txt", "pdf": ".pdf"}
FORMATS = {"xhtml": "html", "rst": "text", "wet": "warc"}


def document(chance: random.Random, kind: str) -> str:
    """Return a document made from the grammar, or a piece of a hostile one in the middle of it."""
    tokens = GRAMMAR["html" if kind == "xhtml" else kind]
    parts = [
        chance.choice(tokens) if chance.random() < 0.7 else chance.choice(PROSE) for _ in range(chance.randrange(60))
    ]
    if chance.random() < 0.2:
        parts.insert(0, chance.choice(parts or [""]) * chance.randrange(1, 200))
    if chance.random() < 0.1:
        whole = chance.choice(list(getattr(hostile, ("html" if kind == "xhtml" else kind).upper()).values()))
        start = chance.randrange(len(whole))
        parts.append(whole[start : start + chance.randrange(3000)])
    if kind == "xhtml":
        parts.insert(0, '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">')
    return "".join(parts)


def mutated(chance: random.Random, data: bytes) -> bytes:
    """Return bytes of which a few are others, gone, doubled or moved."""
    for _ in range(chance.choice((0, 0, 1, 3, 10))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((0, 1, 1, 4, 100)))
        data = data[:at] + chance.choice((b"", chance.randbytes(end - at + 1), 2 * data[at:end])) + data[end:]
    return data


def packed(chance: random.Random, data: bytes) -> tuple[bytes, str]:
    kind = chance.choice(("", "", "", ".gz", ".bz2"))
    data = gzip.compress(data, mtime=0) if kind == ".gz" else bz2.compress(data) if kind == ".bz2" else data
    return (mutated(chance, data) if chance.random() < 0.3 else data), kind


def files(chance: random.Random, folder: Path, kind: str) -> int:
    """Write files of one document each."""
    for number in range(LOT):
        data, more = packed(chance, mutated(chance, document(chance, kind).encode("utf-8", "replace")))
        (folder / f"{number:03}{SUFFIXES[kind]}{more}").write_bytes(data)
    return LOT


def pdfs(chance: random.Random, folder: Path, kind: str) -> int:
    sound = [pdf([chance.choice(PROSE[:2]) * n for n in range(1, 3)]), pdf([[(PROSE[0], 20.0), (PROSE[1], 9.0)]] * 2)]
    for number in range(count := LOT // 4):
        (folder / f"{number:03}.pdf").write_bytes(mutated(chance, chance.choice(sound)))
    return count


def crawl(chance: random.Random, folder: Path, kind: str) -> int:
    """Write a WARC or WET file, one gzip member a record or plain, damaged here and there."""
    parts = []
    for number in range(LOT):
        page = mutated(chance, document(chance, "text" if kind == "wet" else "html").encode("utf-8", "replace"))
        head = "conversion\r\nContent-Type: text/plain"
        if kind == "warc":
            head = "response\r\nContent-Type: application/http; msgtype=response"
            page = (
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                + chance.choice((b"", b"Content-Encoding: gzip\r\n"))
                + b"\r\n"
                + page
            )
        about = f"WARC/1.0\r\nWARC-Type: {head}\r\nWARC-Target-URI: http://a.org/{number}\r\n"
        about += f"Content-Length: {len(page)}\r\n\r\n"
        parts.append(
            mutated(chance, about.encode()) + page + b"\r\n\r\n"
            if chance.random() < 0.1
            else about.encode() + page + b"\r\n\r\n"
        )
    zipped = chance.random() < 0.5
    data = b"".join(gzip.compress(part, mtime=0) if zipped else part for part in parts)
    data = mutated(chance, data) if chance.random() < 0.3 else data
    (folder / f"a.warc{'.gz' * zipped}").write_bytes(data)
    return -1


def rows(chance: random.Random, folder: Path, kind: str) -> int:
    lines = [{"text": document(chance, "markdown"), "title": chance.choice(("T", "", None, 3))} for _ in range(LOT)]
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        held = io.BytesIO()
        texts = [str(line["text"]).encode("utf-8", "replace").decode() for line in lines]
        pq.write_table(pa.table({"text": texts}), held, compression=chance.choice(("zstd", "gzip")), row_group_size=20)
        data = held.getvalue()
        (folder / "a.parquet").write_bytes(mutated(chance, data) if chance.random() < 0.7 else data)
        return -1
    data = "\n".join(json.dumps(line, ensure_ascii=chance.random() < 0.5) for line in lines).encode("utf-8", "replace")
    data, more = packed(chance, mutated(chance, data) if chance.random() < 0.7 else data)
    (folder / f"a.jsonl{more}").write_bytes(data)
    return -1


MAKERS: dict[str, Callable[[random.Random, Path, str], int]] = {
    **dict.fromkeys(("html", "xhtml", "markdown", "rst", "text"), files),
    **dict.fromkeys(("warc", "wet"), crawl),
    **dict.fromkeys(("jsonl", "parquet"), rows),
    "pdf": pdfs,
}


def reading(folder: Path, kind: str) -> Reading:
    source = CorpusSource.model_validate({"format": FORMATS.get(kind, kind), "path": str(folder), "markup": "markdown"})
    ((paths, span),) = pieces(source)
    return Reading(
        source, paths, Corpus.model_validate({"sources": [source], "min_chars": 40, "preset": "none"}), span=span
    )


def made_of(looked: Reading) -> tuple[Outcome[Any], list[Any]]:
    """Return what becomes of the documents, and all of it in an order of its own."""
    outcome = Outcome[Any]()
    for lot in read_apart(looked, partial(cut, options=looked.options)):
        outcome.add(lot)
    return outcome, sorted(map(repr, [*outcome.kept, *outcome.dropped]))


@pytest.mark.timeout(60 + 60 * SIZE)
@pytest.mark.parametrize("kind", MAKERS)
def test_every_document_is_accounted_for(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(max(1, round(5 * SIZE))):
        chance = random.Random(f"{kind} {number}")
        folder = tmp_path / str(number)
        folder.mkdir()
        count = MAKERS[kind](chance, folder, kind)
        monkeypatch.setattr(watched, "LOT", 256)
        looked = reading(folder, kind)
        outcome, found = made_of(looked)
        assert all(counts.balanced() for counts in outcome.counts.values()), number
        assert count < 0 or outcome.counts["documents"].entered == count, number
        crashed = [one for one in outcome.dropped if one.rule in ("over-time", "over-memory", "crashed")]
        assert kind == "parquet" or not crashed, (number, crashed)
        # In other lots, and the other way round, each has other neighbours in its process.
        monkeypatch.setattr(watched, "LOT", chance.choice((1, 7)))
        assert made_of(looked._replace(paths=looked.paths[::-1]))[1] == found, number


def test_workers_make_no_difference(tmp_path: Path) -> None:
    before = threading.active_count()
    options: list[Corpus] = []
    work: list[build.Part] = []
    for kind in MAKERS:
        (tmp_path / kind).mkdir()
        MAKERS[kind](random.Random(kind), tmp_path / kind, kind)
        looked = reading(tmp_path / kind, kind)
        options.append(looked.options)
        stamps = [stamp(path) for path in looked.paths if isinstance(path, Path)]
        work.append(build.Part(len(work), stamps, looked.source, looked.paths, looked.span))
    found = []
    for workers in (1, 2):
        folder = tmp_path / f"run-{workers}"
        owned.claim(folder, "step")
        task = partial(_numbered, partial(build.cut_piece, options[0], 0, folder))
        drain = Drain(lambda said: None)
        made = run_pieces(task, work, workers, folder / "log.txt", drain, lambda *_: None)
        found.append(sorted((number, repr(outcome)) for number, outcome in made))
    assert len(found[0]) == len(MAKERS)
    for (_, one), (number, other) in zip(*found, strict=True):
        at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), -1)
        assert one == other, (number, one[at - 300 : at + 200], other[at - 300 : at + 200])
    assert threading.active_count() < before + 20


def _numbered(
    work: Work[build.Part, Outcome[Any]], worker: WorkerContext, part: build.Part
) -> tuple[int, Outcome[Any]]:
    return part.number, work(worker, part)
