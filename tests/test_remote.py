"""Sources behind URLs, read for real: from memory, from a web server, and out of archives."""

import gzip
import importlib
import pickle
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback.corpus.build import sources
from askback.corpus.readers import documents, splits
from askback.errors import InputError, MissingExtra
from askback.inputs.remote import Remote, find, host, is_url, local
from askback.recipe import Corpus, CorpusSource
from askback.records import Document

pytest.importorskip("fsspec")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def write(folder: Path) -> None:
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>W</h1>warc"
    start = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://w/\r\nContent-Length: {len(block)}\r\n"
    record = start.encode() + b"Content-Type: application/http\r\n\r\n" + block + b"\r\n\r\n"
    (folder / "d").mkdir()
    (folder / "d" / "a.html").write_text("<p>a")
    (folder / "d" / "b.html.gz").write_bytes(gzip.compress(b"<p>b"))
    (folder / "d" / ".c.htm").write_text("hidden")
    (folder / "d" / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "j"}\n{broken'))
    (folder / "d" / "a.warc.gz").write_bytes(gzip.compress(record))
    pq.write_table(pa.table({"text": ["p"]}), folder / "d" / "a.parquet")


def texts(kind: str, path: str) -> list[str]:
    source = CorpusSource.model_validate({"format": kind, "path": path})
    found = [one for piece in splits(source) for one in documents(source, piece, Corpus(sources=[source]))]
    return sorted(one.text if isinstance(one, Document) else one.rule for one in found)


def check(base: str, rest: str = "") -> None:
    """Every format, by name and by glob."""
    assert texts("html", f"{base}/d/*.html{rest}") == ["<p>a"]
    assert texts("html", f"{base}/d/[a-b].html*{rest}") == ["<p>a", "<p>b"]
    assert texts("html", f"{base}/d{rest}") == ["<p>a", "<p>b"]
    assert texts("jsonl", f"{base}/d/a.jsonl.gz{rest}") == ["broken-json", "j"]
    assert texts("warc", f"{base}/d/a.warc.gz{rest}") == ["<h1>W</h1>warc"]
    assert texts("parquet", f"{base}/d/a.parquet{rest}") == ["p"]


def test_from_memory(tmp_path: Path) -> None:
    import fsspec

    write(tmp_path)
    fsspec.filesystem("memory").put(f"{tmp_path}/d", "/m/d", recursive=True)
    check("memory://m")
    assert texts("html", "simplecache::memory://m/d/a.html") == ["<p>a"]


def test_from_a_web_server(tmp_path: Path, served: str) -> None:
    write(tmp_path)
    assert texts("html", f"{served}/d/a.html") == ["<p>a"]
    assert texts("html", f"{served}/d/*.html") == ["<p>a"]
    assert texts("jsonl", f"{served}/d/a.jsonl.gz") == ["broken-json", "j"]
    assert texts("warc", f"{served}/d/a.warc.gz") == ["<h1>W</h1>warc"]
    assert texts("warc", f"{served}/d/*.warc.gz") == ["<h1>W</h1>warc"]
    assert texts("parquet", f"{served}/d/a.parquet") == ["p"]
    assert texts("parquet", f"simplecache::{served}/d/a.parquet") == ["p"]


def test_out_of_an_archive(tmp_path: Path) -> None:
    write(tmp_path)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for file in (tmp_path / "d").iterdir():
            archive.write(file, f"in/d/{file.name}")
    check("zip://in", f"::file://{tmp_path}/x.zip")


def test_file_urls_are_paths(tmp_path: Path) -> None:
    write(tmp_path)
    assert texts("html", f"file://{tmp_path}/d/*.html") == ["<p>a"]
    assert local("file:///a/b") == "/a/b" and not is_url("file:///a/b")
    assert is_url("zip://x::file:///a.zip") and not is_url("a/b:c.html") and not is_url("C::x"[1:])


def test_fingerprints_follow_the_content(tmp_path: Path, served: str) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    write(tmp_path)

    def fingerprints() -> list[str]:
        paths = ["memory://f/a.txt", f"{served}/d/a.html"]
        made = [CorpusSource(format="text", path=paths[0]), CorpusSource(format="html", path=paths[1])]
        return list(sources(Corpus(sources=made)).values())

    memory.pipe("/f/a.txt", b"one")
    before = fingerprints()
    assert fingerprints() == before
    memory.pipe("/f/a.txt", b"two")
    import os

    os.utime(tmp_path / "d" / "a.html", (1, 1))
    assert all(new != old for new, old in zip(fingerprints(), before, strict=True))


def test_files_cross_process_borders() -> None:
    file = Remote("zip://d/a.html.gz::https://x/y.zip", 3, "m")
    assert pickle.loads(pickle.dumps(file)) == file
    assert (file.name, file.suffix, file.stem) == ("a.html.gz", ".gz", "a.html")
    assert Remote("https://x/a.html?b=c.d").name == "a.html"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("memory://nowhere/x.html", "cannot be reached: FileNotFoundError"),
        ("memory://nowhere/*.html", "no html files there; looked for .html"),
        ("nosuch://x/y.html", "Protocol not known: nosuch"),
        ("zip://*.html::file:///nowhere.zip", "cannot be reached: FileNotFoundError"),
        ("https://name:secret@127.0.0.1/x.html", "holds a password"),
        ("zip://a.html::https://secret@127.0.0.1/x.zip", "holds a password"),
        ("https://127.0.0.1/x.html?a=b&X-Amz-Signature=secret", "holds a password"),
        ("https://127.0.0.1/x.html?sig=secret#x", "holds a password"),
        ("https://[::1/x.html", "not a URL"),
        ("https://a:b/x.html", "not a URL"),
        ("http://127.0.0.1:9/x.html", "cannot be reached"),
    ],
)
def test_what_cannot_be_reached_is_one_line(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        find(url, (".html",), "html")
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = importlib.import_module("sys").modules
    fsspec = importlib.import_module("fsspec.registry")
    monkeypatch.setattr(fsspec, "_registry", {})
    monkeypatch.setitem(modules, "s3fs", None)
    with pytest.raises(MissingExtra, match=r"Reading s3://b/x.html needs s3fs.*pip install s3fs$"):
        find("s3://b/x.html", (".html",), "html")
    monkeypatch.setitem(modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"needs fsspec.*askback\[remote\]"):
        find("s3://b/x.html", (".html",), "html")


def test_a_file_that_vanishes_is_one_failure() -> None:
    source = CorpusSource(format="html", path="memory://gone/x.html")
    (found,) = documents(source, [Remote("memory://gone/x.html")], Corpus(sources=[source]))
    assert not isinstance(found, Document) and (found.rule, found.outcome) == ("unreadable", "failed")


def test_the_web_is_not_searched(tmp_path: Path, served: str) -> None:
    """A folder's page that links to itself, below and above would be followed without end."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "index.html").write_text("<a href='e/'>x</a><a href='../a.html'>x</a><a href='b.html'>x</a>")
    (tmp_path / "d" / "b.html").write_text("<p>b")
    assert texts("html", f"{served}/d/") == [(tmp_path / "d" / "index.html").read_text()]
    assert [file.name for file in find(f"{served}/d/*.html", (".html",), "html")] == ["b.html"]
    with pytest.raises(InputError, match="only stand for the last part"):
        find(f"{served}/*/a.html", (".html",), "html")


def test_an_archive_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(".hidden.html", "<p>hidden")
        for number in range(20):
            archive.writestr(f"{number}.html", "<p>x")
    opened: list[Any] = []
    opening = zipfile.ZipFile.__init__
    monkeypatch.setattr(zipfile.ZipFile, "__init__", lambda *given, **more: opened.append(opening(*given, **more)))
    assert texts("html", f"zip://::file://{tmp_path}/x.zip") == ["<p>x"] * 20
    assert len(opened) == 1


def test_a_crawl_file_that_breaks_off_on_the_way_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec
    from fsspec.implementations.memory import MemoryFile

    fsspec.filesystem("memory").pipe("/w/a.warc", b"WARC/1.0\r\n" * 10)

    def read(*_: Any) -> bytes:
        raise TimeoutError("too slow")

    monkeypatch.setattr(MemoryFile, "read", read)
    with pytest.raises(InputError, match=r"too slow.* Run the same command again"):
        texts("warc", "memory://w/a.warc")


def test_names_in_a_bucket_may_hold_what_a_query_begins_with() -> None:
    assert Remote("s3://b/d/a#1?.jsonl.gz").name == "a#1?.jsonl.gz"
    assert Remote("simplecache::https://x/a.jsonl.gz?b#c").suffix == ".gz"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://Example.org:8080/a?b#c", "example.org"),
        ("http://user:word@example.org", "example.org"),
        ("http://[2001:db8::1]:80/a", "[2001:db8::1]"),
        ("http://[x/y", ""),
        ("file:///a/b@c", ""),
        ("pypi:numpy@2.0", ""),
        ("pages/a.html", ""),
    ],
)
def test_the_host_of_an_address(uri: str, expected: str) -> None:
    assert host(uri) == expected
