"""What would keep a parser busy is refused before it is parsed; what is left ends at the clock, alone."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback.corpus import apart, cut, markup, page, watched
from askback.corpus.apart import read_apart
from askback.corpus.bounds import MAX_ATTRIBUTES, TooMuch, check_attributes, check_rst
from askback.corpus.cut import sections_of
from askback.corpus.readers import pieces
from askback.corpus.watched import Reading
from askback.execution.outcome import Outcome
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Markup, Rejection
from tests.corpus import hostile

OPTIONS = Corpus.model_validate({"sources": [{"format": "text", "path": "x"}], "preset": "none", "min_chars": 10})
CHAIN = "".join(f".. |s{n + 1}| replace:: |s{n}| |s{n}| |s{n}|\n" for n in range(20))
REFUSED: dict[str, tuple[Markup, str]] = {
    **{
        name: ("rst", hostile.RST[name])
        for name in (
            *("substitutions that double", "emphasis begun", "strong begun", "literal begun", "roles begun"),
            *("references begun", "substitutions begun", "footnotes", "targets", "references", "nested tables"),
            *("wide table", "grid table", "replace in replace", "one pending", "urls"),
        )
    },
    "substitutions that triple": ("rst", f"{CHAIN}.. |s0| replace:: word\n\n|s20| and |S20|\n"),
    "substitutions in a list": (
        "rst",
        f"* one\n\n  {CHAIN.replace(chr(10), chr(10) + '  ')}.. |s0| replace:: word\n\n|s20|\n",
    ),
    "a long substitution, often": ("rst", ".. |a| replace:: " + "word " * 5000 + "\n\n" + "|a| " * 500 + "\n"),
    "a substitution of many": (
        "rst",
        ".. |a| replace:: " + "|b| " * 200 + "\n.. |b| replace:: word\n\n" + "|a| " * 100,
    ),
    "emphasis begun in a quotation": ("rst", "  *a\n" * 20_000),
    "mixed beginnings": ("rst", "*a **b ``c `d |e " * 6000),
    "targets without names": ("rst", "__ x\n" * 2000),
    "attributes": ("html", hostile.HTML["attributes"]),
    "attributes alike": ("html", hostile.HTML["attributes alike"]),
    "attributes without end": ("html", "<div" + " a=1" * 25_000),
    "attributes in quotes": ("html", "<div" + "".join(f" a{n}='x y'" for n in range(100_000)) + ">text</div>"),
    "attributes in double quotes": ("html", "<p>One<p" + "".join(f'\na{n}="x"' for n in range(20_000)) + ">text"),
    "attributes apart by slashes": ("html", "<p/" + "/".join(f"a{n}" for n in range(20_000)) + ">text"),
    "attributes in Markdown": ("markdown", "Text\n\n<div " + " ".join(f"a{n}" for n in range(20_000)) + ">\n\nText\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_known_attacks_are_refused_before_they_are_parsed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(markup, "publish_doctree", parse)
    monkeypatch.setattr(page, "LexborHTMLParser", parse)
    kind, text = REFUSED[name]
    found = sections_of(Document("a", text, kind, "x", "", ""), OPTIONS)
    assert isinstance(found, Rejection)
    assert (found.rule, found.outcome) == ("too-much-markup", "rejected"), found.detail


@pytest.mark.parametrize(
    "text",
    [
        "".join(f".. |s{n}| replace:: word {n}\n" for n in range(3000)) + "\n" + "|s1| " * 2000,
        ".. |a| replace:: |b|\n.. |b| replace:: |a|\n\n|a| and |b|\n",
        ".. |a| replace:: |a|\n\n|a|\n",
        "A list of *args and **kwargs, and of `names`_ that end.\n" * 200,
        "``literal`` and *emphasis* and **strong** words, `a role` and |a mark|. " * 1500,
        "* An item with *args\n" * 1000,
        "".join(f".. _label-{n}:\n\nHeader {n}\n---------\n\nText\n\n" for n in range(800)),
        ("+-----+-----+\n| a   | b   |\n") * 700 + "+-----+-----+\n",
        "== ==\na  b\n== ==\nc  d\n== ==\n" * 100,
        "http://example.org/" + "a/" * 5000,
    ],
)
def test_what_people_write_is_not_refused(text: str) -> None:
    check_rst(text)


@pytest.mark.parametrize(
    "html",
    [
        "<p " + " ".join(f"a{n}=1" for n in range(MAX_ATTRIBUTES - 1)) + ">text",
        "<script>if (a <b) {" + "word " * 50_000 + "}</script><p>text",
        '<script type="application/json">{"text": "' + "word <b " * 5 + "word " * 50_000 + '"}</script>',
        "<p>" + "word " * 50_000 + "</p>",
        "<p>a < b " + "word " * 50_000 + "</p>",
        "<img src='data:" + "A" * 200_000 + "'>text",
        "<p style='" + "a: b; " * 20_000 + "'>text",
        ("<p " + " ".join(f"a{n}=1" for n in range(1000)) + ">text") * 30,
    ],
)
def test_tags_of_real_pages_are_not_refused(html: str) -> None:
    check_attributes(html)


def test_attributes_are_counted_to_the_last() -> None:
    tag = "<p " + " ".join(f"attribute{n}=1" for n in range(MAX_ATTRIBUTES + 1)) + ">text"
    with pytest.raises(TooMuch, match=f"{MAX_ATTRIBUTES + 1} attributes"):
        check_attributes(tag)


@pytest.mark.parametrize("kind", ["rst", "markdown", "html", "text"])
def test_hostile_documents_fail_alone(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A twelfth of each; in full size, the fuzzer has them."""
    monkeypatch.setattr(watched, "SECONDS", 0.5)
    made = getattr(hostile, kind.upper())
    suffix = {"rst": ".rst", "markdown": ".md", "html": ".html", "text": ".txt"}[kind]
    for number, text in enumerate(made.values()):
        (tmp_path / f"{number:03}-a{suffix}").write_text(text[:8_000], "utf-8")
        (tmp_path / f"{number:03}-good{suffix}").write_text(f"A text, number {number}, as people write them.\n")
    source = CorpusSource.model_validate({"format": "text" if kind == "rst" else kind, "path": str(tmp_path)})
    ((paths, span),) = pieces(source)
    found = Outcome[Any]()
    for lot in read_apart(Reading(source, paths, OPTIONS, span=span), partial(cut, options=OPTIONS)):
        found.add(lot)
    assert sum(one.provenance.uri.endswith(f"-good{suffix}") for one in found.kept) == len(made)
    counts = found.counts["documents"]
    assert counts.entered == 2 * len(made) and all(one.balanced() for one in found.counts.values())
    assert not [one for one in found.dropped if one.rule == "crashed"]


@pytest.mark.parametrize("encoding", ["dictionary", "of bytes", "two columns", "with others", "of large text"])
def test_a_parquet_value_is_in_memory_once(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 rows of 3 MB in a few kB; the process that reads them takes no 200 MB."""
    monkeypatch.setattr(apart, "MEMORY", 200_000_000)
    value = "word " * 600_000
    columns: dict[str, pa.Array] = {"text": pa.array([value] * 100)}
    if encoding == "of bytes":
        columns = {"text": pa.array([value.encode()] * 100)}
    if encoding == "two columns":
        columns["title"] = pa.array([value] * 100)
    if encoding == "with others":
        columns["date"] = pa.array(range(100))
    if encoding == "of large text":
        columns = {"text": pa.array([value] * 100, pa.large_string())}
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table(columns), path, compression="zstd", dictionary_pagesize_limit=2**30)
    assert path.stat().st_size < 100_000
    source = CorpusSource.model_validate({"format": "parquet", "path": str(path)})

    def count(documents: Iterator[Document | Rejection]) -> list[str]:
        return [found.rule if isinstance(found, Rejection) else "read" for found in documents]

    found = [rule for lot in read_apart(Reading(source, [path], OPTIONS), count) for rule in lot]
    assert found == ["read"] * 100
