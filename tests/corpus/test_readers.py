"""Every reader: the good records among broken ones, each broken one as one rejection that says where and why."""

import gzip
import importlib.metadata
import json
import random
import re
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from docutils import nodes
from docutils.core import publish_doctree
from fastwarc.stream_io import ZstdWriter
from hypothesis import given, settings
from hypothesis import strategies as st

from askback.corpus.readers import documents, pieces, reader, splits
from askback.corpus.readers.encoding import Undecodable, decode
from askback.corpus.readers.head import head
from askback.corpus.readers.installed_docs import fingerprint, topic_rst
from askback.corpus.readers.warc import SPAN_BYTES, Span, read_warc, spans
from askback.errors import InputError, MissingExtra
from askback.recipe import Corpus, CorpusSource
from askback.recipe.names import DOCUMENTS
from askback.records import Document, Rejection
from tests.corpus.pdfs import pdf


def read(source: CorpusSource, **options: Any) -> list[Document | Rejection]:
    """Read a source as a run does: split, then every piece."""
    chosen = Corpus(sources=[source], **options)
    return [found for paths, span in pieces(source) for found in documents(source, paths, chosen, 0, span)]


def rules(found: list[Document | Rejection]) -> Counter[str]:
    return Counter(one.rule if isinstance(one, Rejection) else "document" for one in found)


def response(
    uri: str, body: bytes, head: str = "HTTP/1.1 200 OK\r\nContent-Type: text/html", kind: str = "response"
) -> bytes:
    block = head.encode() + b"\r\n\r\n" + body
    start = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nContent-Type: application/http\r\n"
    return gzip.compress(f"{start}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n")


PAGE = "<html><head><title>A &amp; B</title></head><body><h1>Hé</h1><p>Text</p></body></html>"


def write_html(folder: Path) -> str:
    (folder / "deep").mkdir()
    (folder / "a.html").write_text(PAGE, "utf-8")
    (folder / "b.html").write_bytes(b"")
    (folder / "c.htm").write_bytes(b"x" * 2000)
    (folder / "deep" / "d.HTML").write_bytes(PAGE.encode("cp1252"))
    (folder / ".hidden.html").write_text(PAGE)
    (folder / "notes.txt").write_text("no page")
    return str(folder)


def write_markdown(folder: Path) -> str:
    (folder / "a.md").write_text("# A\n\nText")
    (folder / "b.md").write_text("  \n")
    (folder / "c.md").write_text("x" * 2000)
    (folder / "d.markdown").write_text("No header")
    return str(folder)


def write_text(folder: Path) -> str:
    (folder / "a.txt").write_text("Text")
    (folder / "b.txt").write_text("\n")
    (folder / "c.txt").write_text("x" * 2000)
    (folder / "d.rst").write_text("A\n=\n\nText")
    return str(folder)


def write_pdf(folder: Path) -> str:
    whole = pdf(["A whole page of text."])
    (folder / "a.pdf").write_bytes(whole)
    (folder / "b.pdf").write_bytes(b"")
    (folder / "c.pdf").write_bytes(b"%PDF-1.4\n" + b"x" * 2000)
    (folder / "d.pdf").write_bytes(b"%PDF-1.4\nbroken")
    (folder / "e.pdf").write_bytes(pdf([""]))
    return str(folder)


def write_warc(folder: Path) -> str:
    records = [
        response("http://x/a", PAGE.encode()),
        response("http://x/gone", b"", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html"),
        response("http://x/big", b"x" * 2000),
        b"\x1f\x8b\x08\x00 this is no gzip member",
        response("<http://x/b>", PAGE.encode()),
    ]
    (folder / "crawl.warc.gz").write_bytes(b"".join(records))
    return str(folder / "crawl.warc.gz")


LINES = [
    json.dumps({"body": "<h1>A</h1>Text", "title": "T", "license": "CC0-1.0"}),
    "{broken",
    "[1]",
    json.dumps({"other": "x", "more": 1}),
    json.dumps({"body": 7}),
    "",
    json.dumps({"body": " "}),
    json.dumps({"body": "x" * 2000}),
    "[" * 5000,
    json.dumps({"body": "lone \ud800 surrogate"}),
]


def write_jsonl(folder: Path) -> str:
    with gzip.open(folder / "data.jsonl.gz", "wb") as file:
        file.write(b"\xef\xbb\xbf" + "\n".join(LINES).encode() + b'\n{"body": "\xff"}')
    return str(folder / "data.jsonl.gz")


def write_parquet(folder: Path) -> str:
    table = pa.table({"body": ["<h1>A</h1>Text", None, " ", "x" * 2000, "Text"], "title": ["T", "", "", "", None]})
    pq.write_table(table, folder / "data.parquet")
    return str(folder)


def write_hub(folder: Path) -> str:
    write_parquet(folder)
    return str(folder)


def write_nothing(folder: Path) -> str:
    return ""


CONTRACT: dict[str, tuple[Any, dict[str, int]]] = {
    "html": (write_html, {"document": 2, "no-text": 1, "too-large": 1}),
    "markdown": (write_markdown, {"document": 2, "no-text": 1, "too-large": 1}),
    "text": (write_text, {"document": 2, "no-text": 1, "too-large": 1}),
    "pdf": (write_pdf, {"document": 1, "no-text": 2, "too-large": 1, "unreadable": 1}),
    "warc": (write_warc, {"document": 2, "http-status": 1, "too-large": 1, "damaged": 1}),
    "jsonl": (
        write_jsonl,
        {"document": 2, "broken-json": 3, "not-a-record": 1, "no-text-field": 2, "no-text": 1, "too-large": 1},
    ),
    "parquet": (write_parquet, {"document": 2, "no-text-field": 1, "no-text": 1, "too-large": 1}),
    "hub": (write_hub, {"document": 2, "no-text-field": 1, "no-text": 1, "too-large": 1}),
    "installed-docs": (write_nothing, {}),
}


def source_of(kind: str, folder: Path, **more: Any) -> CorpusSource:
    fields: dict[str, Any] = {"format": kind, "path": CONTRACT[kind][0](folder), "licence": "Given", **more}
    if kind in ("jsonl", "parquet", "hub"):
        fields |= {"text_field": "body", "markup": "html"}
    return CorpusSource.model_validate(fields)


def test_every_format_has_a_reader_and_a_contract() -> None:
    assert set(DOCUMENTS) == set(CONTRACT)


@pytest.mark.parametrize("kind", sorted(DOCUMENTS))
def test_good_records_among_broken_ones(kind: str, tmp_path: Path) -> None:
    source = source_of(kind, tmp_path)
    found = read(source, max_document_bytes=8_000_000 if kind == "installed-docs" else 1000)
    if expected := CONTRACT[kind][1]:
        assert rules(found) == expected
    documents = [one for one in found if isinstance(one, Document)]
    assert documents
    for one in found:
        assert one.uri and one.uri.encode("utf-8") and one.text.encode("utf-8") is not None
        if isinstance(one, Rejection):
            assert one.stage == "documents"
            assert one.outcome in ("rejected", "failed")
    assert len({one.id for one in found if isinstance(one, Rejection)}) == len(found) - len(documents)
    assert all(document.source == kind and document.text.strip() for document in documents)
    assert all(document.licence for document in documents)
    assert read(source, max_document_bytes=8_000_000 if kind == "installed-docs" else 1000) == found


@pytest.mark.parametrize("kind", ["warc", "jsonl", "parquet", "hub", "installed-docs"])
def test_the_limit_counts_documents(kind: str, tmp_path: Path) -> None:
    found = read(source_of(kind, tmp_path, limit=1), max_document_bytes=100_000)
    assert rules(found)["document"] == 1


# Splitting


def test_splits_are_sorted_grouped_and_the_same_again(tmp_path: Path) -> None:
    for number in range(600):
        (tmp_path / f"{number:04}.html").write_text(PAGE)
    source = CorpusSource(format="html", path=str(tmp_path))
    pieces = splits(source)
    assert [len(piece) for piece in pieces] == [256, 256, 88]
    files = [file for piece in pieces for file in piece]
    assert files == sorted(files, key=str)
    assert splits(source) == pieces
    assert [len(piece) for piece in splits(CorpusSource(format="html", path=f"{tmp_path}/00[01]*.html"))] == [20]
    assert splits(CorpusSource(format="installed-docs")) == splits(CorpusSource(format="hub", path="x")) == [[]]


def test_splits_follow_no_link_round_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.md").write_text("x")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert splits(CorpusSource(format="markdown", path=str(tmp_path))) == [[tmp_path / "a" / "x.md"]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.html", "no such file or folder"),
        ("empty", "no html files in this folder; looked for .html"),
        ("empty/*.html", "no file matches this pattern"),
        ("dangling", "cannot be read"),
    ],
)
def test_sources_that_cannot_be_read(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").mkdir()
    (tmp_path / "dangling" / "x.html").symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        splits(CorpusSource(format="html", path=str(tmp_path / name)))
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_vanishes_is_one_failure(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE)
    source = CorpusSource(format="html", path=str(tmp_path))
    paths = [tmp_path / "gone.html", tmp_path / "a.html"]
    found = list(reader("html").read(paths, source, Corpus(sources=[source])))
    assert rules(found) == {"unreadable": 1, "document": 1}


# Encoding and heads


@pytest.mark.parametrize(
    ("data", "stated", "expected"),
    [
        ("\ufeffé".encode(), "latin1", "é"),
        ("é".encode("utf-16"), "", "é"),
        ("é".encode(), "iso-8859-1", "é"),  # valid UTF-8 is UTF-8, whatever is stated
        ("“é”".encode("cp1252"), "iso-8859-1", "“é”"),
        (b"<meta charset='windows-1251'>" + "Привет".encode("cp1251"), "", "<meta charset='windows-1251'>Привет"),
        ("ブラ".encode("euc_jp"), "x-euc-jp", "ブラ"),
        ("ブラ".encode("iso2022_jp"), "iso-2022-jp", "ブラ"),
        ("中文€".encode("gb18030"), "gb2312", "中文€"),
        ("café – naïve".encode("cp1252"), "", "café – naïve"),
        (b"caf\xc3\xa9 \xe2\x80\x93 na\xc3\xafve \xff", "", "café – naïve \ufffd"),
        ("é".encode("cp1252"), "no-such-encoding", "é"),
        ("é".encode("cp1252"), "base64", "é"),
        (b"\xe9-abc", "punycode", "é-abc"),
        (b"\xe9\\x41", "unicode_escape", "é\\x41"),
    ],
)
def test_encodings(data: bytes, stated: str, expected: str) -> None:
    assert decode(data, stated) == expected


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=100), st.sampled_from(["", "idna", "punycode", "undefined", "utf-7", "hz", "rot13", "x" * 50])
)
def test_any_bytes_are_decoded(data: bytes, stated: str) -> None:
    try:
        assert isinstance(decode(b"<meta charset=idna>" + data, stated), str)
    except Undecodable as error:
        assert "at most 8 wanted" in str(error)


@pytest.mark.parametrize(
    ("html", "licence"),
    [
        ("<link rel='license' href='https://x/by'>", "https://x/by"),
        ("<LINK HREF=https://x/by REL='next license'>", "https://x/by"),
        ("<meta name='dcterms.license' content='A'><meta name='dc.rights' content='B'>", "A"),
        ("<meta name='DC.rights' content='B &amp; C'><meta name='copyright' content='D'>", "B & C"),
        ("<meta name='copyright' content='D'>", "D"),
        ("<meta name='license'>", ""),
        ("</head><body><link rel='license' href='x'>", ""),
    ],
)
def test_licences_in_the_head(html: str, licence: str) -> None:
    assert head(f"<head><title>A\n &lt;b&gt;</title>{html}")[:2] == ("A <b>", licence)


# WARC


def test_real_crawl_files_are_read_to_their_last_whole_record(warc_folder: Path) -> None:
    found = {
        file.name: rules(read(CorpusSource(format="warc", path=str(file)))) for file in sorted(warc_folder.iterdir())
    }
    assert found == {
        "clipped.warc.gz": {"clipped": 1},
        "clueweb-quirk.warc.gz": {"document": 29},
        "sample-0001.warc.gz": {"document": 15, "not-html": 2},
        "warcfile.warc.gz": {"document": 16},
    }


def test_real_pages_are_decoded(warc_folder: Path) -> None:
    found = read(CorpusSource(format="warc", path=str(warc_folder)))
    documents = {one.uri: one for one in found if isinstance(one, Document)}
    assert all("\ufffd" not in one.text[:5000] for one in documents.values() if "uraharajuku" in one.uri)
    assert "О компании" in documents["http://01spb.ru/company/"].text
    assert documents["https://creativecommons.org/mission/"].text.startswith("<!DOCTYPE html>")  # was sent in chunks


def test_packed_pages_are_unpacked(tmp_path: Path) -> None:
    ok = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8"
    body = PAGE.encode()
    chunks = b"10\r\n" + body[:16] + b"\r\n" + f"{len(body) - 16:x}".encode() + b"\r\n" + body[16:] + b"\r\n0\r\n\r\n"
    records = [
        response("http://x/gzip", gzip.compress(body), f"{ok}\r\nContent-Encoding: gzip"),
        response("http://x/unpacked", body, f"{ok}\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked"),
        response("http://x/chunked", chunks, f"{ok}\r\nTransfer-Encoding: chunked"),
        response("http://x/bomb", gzip.compress(b"x" * 1_000_000), f"{ok}\r\nContent-Encoding: gzip"),
        response("http://x/broken", gzip.compress(body)[:20] + b"?" * 9, f"{ok}\r\nContent-Encoding: gzip"),
        response("http://x/pdf", b"%PDF", "HTTP/1.1 200 OK\r\nContent-Type: application/pdf"),
        response("http://x/untyped", body, "HTTP/1.1 200 OK\r\nServer: x"),
        response("http://x/asked", b"", "GET / HTTP/1.1\r\nHost: x", "request"),
    ]
    (tmp_path / "x.warc.gz").write_bytes(b"".join(records))
    found = read(CorpusSource(format="warc", path=str(tmp_path)), max_document_bytes=100_000)
    assert [one.text for one in found if isinstance(one, Document)] == [PAGE] * 4
    assert rules(found) == {"document": 4, "too-large": 1, "undecodable": 1, "not-html": 1}


def test_damage_costs_only_the_records_it_hits(tmp_path: Path) -> None:
    records = [
        response(f"http://x/{number}", f"<p>{random.Random(number).random()}</p>".encode()) for number in range(30)
    ]
    whole = b"".join(records)
    file = tmp_path / "x.warc.gz"
    source = CorpusSource(format="warc", path=str(file))
    draw = random.Random(0)
    for _ in range(25):
        at = draw.randrange(len(whole) - 8)
        file.write_bytes(whole[:at] + bytes(byte ^ 0xFF for byte in whole[at : at + 4]) + whole[at + 4 :])
        assert rules(read(source))["document"] >= 28
        file.write_bytes(whole[:at])
        found = rules(read(source))
        complete = sum(len(b"".join(records[: number + 1])) <= at for number in range(30))
        assert found["document"] - complete in (0, 1)  # 1 when no more than the checksum is cut off
        if found["document"] == complete and len(b"".join(records[:complete])) < at:
            assert found.total() == complete + 1  # what was cut is said, once
    plain = gzip.decompress(whole)
    file.write_bytes(plain.replace(b"Content-Length: ", b"Content-Length: x", 1))
    assert rules(read(source))["document"] >= 29
    for junk in (b"", b"hello", b"<html>" * 100):
        file.write_bytes(junk)
        assert rules(read(source)) == {"damaged": 1}


def test_wet_records_are_plain_text(tmp_path: Path) -> None:
    text = "Title\n\nText — of a page."
    start = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://x/a\r\nContent-Type: text/plain\r\n"
    record = f"{start}Content-Length: {len(text.encode())}\r\n\r\n{text}\r\n\r\n".encode()
    (tmp_path / "x.warc.wet.gz").write_bytes(gzip.compress(record) + gzip.compress(record.replace(b"plain", b"xcsss")))
    found = read(CorpusSource(format="warc", path=str(tmp_path), licence="L"))
    assert found[0] == Document("http://x/a", text, "text", "warc", "", "L")
    assert rules(found) == {"document": 1, "not-html": 1}


def test_dates_of_crawled_pages(tmp_path: Path) -> None:
    ok = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nLast-Modified: Sat, 04 May 2019 23:59:00 GMT"
    dated = b"<meta name='dc.date' content='2001-02-03'>"
    records = [response("http://x/a", PAGE.encode(), ok), response("http://x/b", dated, ok)]
    now = gzip.decompress(response("http://x/c", PAGE.encode(), ok))
    records.append(gzip.compress(now.replace(b"\r\n", b"\r\nWARC-Date: 2019-05-04T00:00:00Z\r\n", 1)))
    (tmp_path / "x.warc.gz").write_bytes(b"".join(records))
    found = read(CorpusSource(format="warc", path=str(tmp_path)))
    assert [one.date for one in found if isinstance(one, Document)] == ["2019-05-04", "2001-02-03", ""]


# Packed files


@pytest.mark.parametrize("kind", ["html", "markdown", "text"])
def test_packed_documents_and_bombs(kind: str, tmp_path: Path) -> None:
    name = {"html": "html", "markdown": "md", "text": "rst"}[kind]
    for packed, body in (("a", PAGE.encode()), ("bomb", b"x" * 50_000_000)):
        (tmp_path / f"{packed}.{name}.gz").write_bytes(gzip.compress(body, 1))
        writer = ZstdWriter(str(tmp_path / f"{packed}.{name}.zst"))
        writer.write(body)
        writer.close()
    del body
    (tmp_path / f"cut.{name}.gz").write_bytes((tmp_path / f"a.{name}.gz").read_bytes()[:-12])
    (tmp_path / f"cut.{name}.zst").write_bytes((tmp_path / f"a.{name}.zst").read_bytes()[:-3])
    tracemalloc.start()
    found = read(CorpusSource.model_validate({"format": kind, "path": str(tmp_path)}), max_document_bytes=10_000)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert rules(found) == {"document": 2, "too-large": 2, "undecodable": 2}
    texts = [one for one in found if isinstance(one, Document)]
    assert {one.text for one in texts} == {PAGE}
    assert {one.title for one in texts} == {{"html": "A & B", "markdown": "a", "text": ""}[kind]}
    assert {one.markup for one in texts} == {"rst" if kind == "text" else kind}


# Samples


def test_a_sample_is_drawn_evenly_and_without_regard_to_order(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"{number}"}) if number % 2 else '{"text": ""}' for number in range(4000)]
    (tmp_path / "x.jsonl").write_text("\n".join([*lines, "{broken"]))
    (tmp_path / "y.jsonl").write_text('{"text": "y"}')
    source = CorpusSource(format="jsonl", path=str(tmp_path), sample=0.25)
    options = Corpus(sources=[source])
    pieces = splits(source)

    def drawn(pieces: list[Any], seed: int = 1) -> set[str]:
        return {one.uri for piece in pieces for one in documents(source, piece, options, seed)}

    assert drawn(pieces) == drawn(pieces[::-1])
    assert 890 < len(drawn(pieces)) < 1110  # four standard deviations around 1,000
    found = list(documents(source, pieces[0], options, 1))
    assert rules(found)["broken-json"] == 1  # what fails is always told
    assert 400 < rules(found)["no-text"] < 600
    assert len(drawn(pieces, 2) & drawn(pieces)) < 400
    few = source.model_copy(update={"limit": 10})
    assert rules(list(documents(few, pieces[0], options, 1)))["document"] == 10


def read_cut(file: Path, size: int) -> list[Document | Rejection]:
    """Read a crawl file in pieces of at most `size` bytes."""
    source = CorpusSource(format="warc", path=str(file))
    chosen = Corpus(sources=[source])
    return [found for span in spans(file, size) for found in read_warc([file], source, chosen, span)]


SHOWN = "<pre>\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\nContent-Type: text/html\r\nContent-Length: 500\r\n\r\nx</pre>"


@pytest.mark.parametrize("plain", [False, True])
def test_any_cut_gives_every_record_once(plain: bool, tmp_path: Path) -> None:
    bodies = [PAGE.encode(), SHOWN.encode(), b"", *(random.Random(n).randbytes(n * 40) for n in range(20))]
    whole = b"".join(response(f"http://x/{number}", body) for number, body in enumerate(bodies))
    whole += response("http://x/cut", PAGE.encode())[:-30]
    file = tmp_path / "x.warc"
    file.write_bytes(gzip.decompress(whole[: whole.rindex(b"\x1f\x8b\x08")]) if plain else whole)
    expected = read_cut(file, file.stat().st_size)
    assert len(expected) == len(bodies) + (not plain)
    for size in [100, 137, 251, 999, 3001, 10_000]:
        assert read_cut(file, size) == expected, size


def test_the_text_of_the_last_page_is_not_taken_for_records(tmp_path: Path) -> None:
    shown = gzip.decompress(response("http://shown/", PAGE.encode()))
    file = tmp_path / "x.warc"
    file.write_bytes(gzip.decompress(response("http://x/", PAGE.encode() + b"\n" + shown)))
    assert [one.uri for one in read_cut(file, 10**9)] == ["http://x/"]


@settings(max_examples=6, deadline=None)
@given(size=st.integers(3000, 300_000))
def test_any_cut_of_real_files_gives_every_record_once(warc_folder: Path, size: int) -> None:
    for file in warc_folder.iterdir():
        assert read_cut(file, size) == read_cut(file, 10**9)


@settings(max_examples=20, deadline=None)
@given(at=st.floats(0, 1), size=st.integers(300, 3000))
def test_damage_at_a_border_costs_no_other_record(
    tmp_path_factory: pytest.TempPathFactory, at: float, size: int
) -> None:
    whole = b"".join(response(f"http://x/{n}", random.Random(n).randbytes(300)) for n in range(20))
    hit = int(at * (len(whole) - 8))
    file = tmp_path_factory.mktemp("damaged") / "x.warc.gz"
    file.write_bytes(whole[:hit] + bytes(byte ^ 0xFF for byte in whole[hit : hit + 4]) + whole[hit + 4 :])
    cut, uncut = ([one for one in read_cut(file, by) if isinstance(one, Document)] for by in (size, 10**9))
    assert cut == uncut


def test_large_files_are_cut_unless_documents_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "x.warc"
    file.write_bytes(b"WARC/1.0\r\n" * (3 * SPAN_BYTES // 10))
    assert [span for _, span in pieces(CorpusSource(format="warc", path=str(file)))] == [
        Span(0, SPAN_BYTES),
        Span(SPAN_BYTES, 2 * SPAN_BYTES),
        Span(2 * SPAN_BYTES, None),
    ]
    assert pieces(CorpusSource(format="warc", path=str(file), limit=5)) == [([file], None)]
    (tmp_path / "one.warc.gz").write_bytes(gzip.compress(random.Random(1).randbytes(SPAN_BYTES)))
    assert spans(tmp_path / "one.warc.gz", SPAN_BYTES // 2) == [Span()]
    (tmp_path / "x.warc.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(2 * SPAN_BYTES))
    assert spans(tmp_path / "x.warc.zst", SPAN_BYTES) == [Span()]


# JSON Lines, Parquet, hub


def test_broken_lines_are_named_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text("\n".join(["{}"[:1] if line == 1000 else '{"text": "good"}' for line in range(1, 1002)]))
    found = read(CorpusSource(format="jsonl", path=str(file)))
    (broken,) = (one for one in found if isinstance(one, Rejection))
    assert (broken.uri, broken.outcome) == (f"{file}:1000", "failed")
    assert f"{file}:1000" in broken.detail
    assert rules(found)["document"] == 1000
    assert found[-1].uri == f"{file}:1001"


def test_packed_and_clipped_lines(tmp_path: Path) -> None:
    lines = b'{"text": "good"}\n' * 5000
    writer = ZstdWriter(str(tmp_path / "a.jsonl.zst"))
    writer.write(lines)
    writer.close()
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines)[:-20])
    (tmp_path / "c.jsonl.gz").write_bytes(b"\x1f\x8b no gzip")
    (tmp_path / "d.ndjson").write_bytes(lines)
    found = read(CorpusSource(format="jsonl", path=str(tmp_path)))
    assert rules(found)["clipped"] == 2
    assert 10_000 <= rules(found)["document"] <= 15_000


def test_a_line_too_long_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "' + "x" * 100_000 + '"}\n{"text": "good"}')
    found = read(CorpusSource(format="jsonl", path=str(tmp_path)), max_document_bytes=1000)
    assert [one.uri.rpartition(":")[2] for one in found] == ["1", "2"]
    assert rules(found) == {"too-large": 1, "document": 1}


def test_parquet_without_the_column_says_which_there_are(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    with pytest.raises(InputError, match=r"no column 'bodi'; it has body, title. Did you mean 'body'\?"):
        read(CorpusSource(format="parquet", path=str(tmp_path), text_field="bodi"))


def test_broken_parquet_is_one_failure(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    file = tmp_path / "data.parquet"
    whole = file.read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:100])
    (tmp_path / "junk.parquet").write_bytes(b"junk" * 100)
    (tmp_path / "page.parquet").write_bytes(whole[:8] + b"\xff" * 60 + whole[68:])
    found = read(CorpusSource(format="parquet", path=str(tmp_path), text_field="body"))
    assert rules(found)["unreadable"] == 3


def test_hub_splits_and_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path)
    source = CorpusSource(format="hub", path=f"{tmp_path}:train", text_field="body")
    assert {one.uri for one in read(source)} == {f"hub:{tmp_path}:train#{row}" for row in range(1, 6)}
    with pytest.raises(InputError, match="cannot be opened"):
        read(CorpusSource(format="hub", path=f"{tmp_path}:absent", text_field="body"))
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"askback\[local\]"):
        read(source)


# Installed documentation


def test_installed_docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, own = tmp_path / "site-packages", tmp_path / "program" / "thirdparty_files"

    def distribution(name: str, text: str, site: Path = site) -> None:
        folder = site / f"{name}-1.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{text}")

    distribution(
        "Md_Pkg", "License-Expression: MIT\nDescription-Content-Type: text/markdown; charset=UTF-8\n\n# Hello\n"
    )
    distribution("rst.pkg", "Classifier: License :: OSI Approved :: BSD License\nLicense: x\n\nHello\n=====\n")
    distribution("txt", "License: Own words\nDescription-Content-Type: text/plain\n\nHello")
    distribution("none", "License: MIT\n\nUNKNOWN\n")
    distribution("brought-along", "\nHello", own)
    distribution("latin", "\nHello")
    (site / "latin-1.0.dist-info/METADATA").write_bytes(b"Metadata-Version: 2.1\nName: latin\nAuthor: Andr\xe9\n")
    found = list(
        importlib.metadata.MetadataPathFinder.find_distributions(
            importlib.metadata.DistributionFinder.Context(path=[str(site), str(site), str(own)])
        )
    )
    monkeypatch.setattr("askback.corpus.readers.installed_docs.distributions", lambda: found)
    read_back = read(CorpusSource(format="installed-docs"))
    packages = [one for one in read_back if one.uri.startswith("pypi:")]
    assert [
        (one.uri, one.markup, one.licence, one.text.strip()) if isinstance(one, Document) else (one.uri, one.rule)
        for one in packages
    ] == [
        ("pypi:latin", "unreadable"),
        ("pypi:md-pkg@1.0", "markdown", "MIT", "# Hello"),
        ("pypi:none@1.0", "no-text"),
        ("pypi:rst-pkg@1.0", "rst", "BSD License", "Hello\n====="),
        ("pypi:txt@1.0", "text", "Own words", "Hello"),
    ]
    topics = [one for one in read_back[5:] if isinstance(one, Document)]
    assert len(topics) > 50
    assert {(one.markup, one.licence) for one in topics} == {("rst", "PSF-2.0")}
    assert topics[0].uri.startswith("python:") and "@3." in topics[0].uri
    assert fingerprint(CorpusSource(format="installed-docs")).startswith("4 distributions ")


TOPIC = """The "with" statement
********************

Uses "__exit__()" of C:\\x, "int"s and non-
empty ones:

   with a:
       b  # "c"

   more

Note:

  Mind *this*.

* If it is "x":

     y = "x"

* Else.

object.__new__(cls[, ...])

   Called to make one.

   >>> deep

-[ Footnotes ]-

[1] Foot.
"""


def test_topics_become_rst() -> None:
    made = topic_rst(TOPIC)
    tree = publish_doctree(made, settings_overrides={"report_level": 5, "doctitle_xform": False})
    assert not list(tree.findall(nodes.problematic))
    assert [title.astext() for title in tree.findall(nodes.title)] == ["The with statement", "Footnotes"]
    assert [block.astext() for block in tree.findall(nodes.literal_block)] == [
        'with a:\n    b  # "c"\n\nmore',
        'y = "x"',
    ]
    literals = [literal.astext() for literal in tree.findall(nodes.literal)]
    assert literals == ["with", "__exit__()", "int", "x", "object.__new__(cls[, ...])"]
    assert "Uses __exit__() of C:\\x, ints and non-empty ones:" in tree.astext()
