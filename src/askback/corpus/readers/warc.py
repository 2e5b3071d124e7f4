"""WARC files: web crawls, plain or compressed with gzip, zstandard or LZ4; with WET, their plain text."""

import mmap
import re
import zlib
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from fastwarc.warc import ArchiveIterator

from askback.corpus.readers import Reader, coding, packed_too
from askback.corpus.readers.encoding import Undecodable, clean, decode
from askback.corpus.readers.head import head, modified
from askback.corpus.readers.spelling import spelled
from askback.corpus.xml import is_xhtml
from askback.errors import InputError
from askback.inputs.local_files import open_file
from askback.inputs.remote import File, Unreachable
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Markup, Rejection, fail, record_id, reject

_PAGES = {"response", "resource", "conversion"}
_NOT_PAGES = {"warcinfo", "request", "metadata", "revisit", "continuation"}
_HTML_TYPES = {"text/html", "application/xhtml+xml"}
_CODINGS = ("Transfer-Encoding", "Content-Encoding")


SPAN_BYTES = 6_000_000
"""A file is read in pieces of about this size, some hundreds to thousands of pages: seconds of work for a worker, and
few enough that what they give is held in memory."""
MAX_SPANS = 1000
"""Pieces of a source, about; of a larger source, pieces are larger. Every file gives one at least."""


class Span(NamedTuple):
    """A piece of a file: the records that begin in it, `start` and `end` moved on to where a record begins."""

    start: int = 0
    end: int | None = None


WHOLE = Span()
MAX_HEAD = 8192
"""Bytes of a record's own header that are looked through for its end and its length."""
_LENGTH = re.compile(rb"\ncontent-length:\s*(\d{1,18})\s", re.IGNORECASE)


def spans(path: File, size: int) -> list[Span]:
    """Cut a file into pieces of at most `size` bytes, if it is local and records can be found in it: a plain one, or a
    packed one with one gzip member per record (one of a single member would be searched to its end for every piece)."""
    if not isinstance(path, Path):
        return [WHOLE]
    total = path.stat().st_size
    with open_file(path) as file:
        begins = file.read(4)
    count = -(-total // size) if begins == b"WARC" or begins.startswith(b"\x1f\x8b") else 1
    if count == 1 or (begins != b"WARC" and _next_record(path, 0) is None):
        return [WHOLE]
    borders = [total * number // count for number in range(count)]
    return [Span(*pair) for pair in zip_longest(borders, borders[1:])]


def spans_of(files: Sequence[File]) -> list[tuple[File, Span]]:
    """Cut the files of a source into spans; of a large source, they are larger."""
    size = max(SPAN_BYTES, sum(path.stat().st_size for path in files if isinstance(path, Path)) // MAX_SPANS)
    return [(path, span) for path in files for span in spans(path, size)]


def read_warc(
    paths: Sequence[File], source: CorpusSource, options: Corpus, span: Span = WHOLE
) -> Iterator[Document | Rejection]:
    """Read the pages of crawl files; requests, metadata and revisits are no documents and are passed over.

    WET files are WARC files of `conversion` records in text/plain, which are read as plain text. A page's date is the one
    it states, else its Last-Modified (`head.modified`). A response that is not HTML or whose status is not 200 is rejected.
    A record cut short is a failure. A damaged file is read up to the damage and, if it is local and a whole record can be
    found behind it, on from there; each stretch lost is a failure. However a file is cut into spans, together they give
    each record once. (An archive packed in an archive may give its own records too, if a border falls in it.)

    Raises:
        InputError: a remote file was there and could not be read on, so that the run goes on with it later.
    """
    for path in paths:
        start = _next_record(path, span.start - 1, whole=True) if span.start else 0
        end = _next_record(path, span.end - 1, whole=True) if span.end is not None else None
        if start is not None and (end is None or start < end):
            yield from _file(path, start, end, source, options)


def _file(
    path: File, start: int, end: int | None, source: CorpusSource, options: Corpus
) -> Iterator[Document | Rejection]:
    at: int | None = start
    reached = start - 1
    lost: tuple[int, str] | None = None if start else (0, "no WARC record in this file")
    while at is not None and (end is None or at < end):
        reason = "a record breaks off"  # the iterator ends in silence where the header of one is cut
        try:
            with open_file(path) if isinstance(path, Path) else path.open("rb") as file:
                if at:  # a web server's file may not seek
                    file.seek(at)
                for record in ArchiveIterator(file, quirks_mode=True):
                    reached = int(record.stream_pos)
                    behind = end is not None and reached >= end
                    found = None if behind else _document(record, path, source, options)
                    if lost and lost[0] < reached:
                        yield _lost(path, *lost, f"byte {reached}")
                    lost = None
                    if behind:
                        return
                    if found:
                        yield found
        except Unreachable as error:
            reason = f"could not be read behind byte {max(reached, 0)}: {error}"
            raise InputError(f"{path}: {reason}. Run the same command again to go on with it") from error
        except OSError as error:
            reason = str(error)
            if lost and not lost[0]:
                lost = 0, f"no WARC record in this file: {reason}"
        at = _next_record(path, max(reached, at))
        if (at is not None or reason != "a record breaks off") and not lost:
            lost = reached, reason
    if lost:
        yield _lost(path, *lost, "the end" if at is None else f"byte {at}")


def _lost(path: File, start: int, reason: str, end: str) -> Rejection:
    uri = clean(f"{path}@{start}")
    detail = f"lost behind byte {start} up to {end}: {clean(reason)}"
    return fail(record_id(uri, "damaged"), "documents", "damaged", detail, uri=uri)


def _next_record(path: File, reached: int, whole: bool = False) -> int | None:
    """Return where the next readable record begins behind the one at `reached`, None if there is none.

    Only in plain files and in those with one gzip member per record, as crawlers write them. With `whole`, what looks
    like a record in a plain file has to be as long as it says: a page may well show the beginning of one. Without it,
    `reached` is where a record was read, whose own text is passed over if it is as long as it says.
    """
    if not isinstance(path, Path):
        return None
    try:
        with open_file(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            packed = data[:2] == b"\x1f\x8b"
            mark, shift = (b"\x1f\x8b\x08", 0) if packed else (b"\nWARC/1.", 1)
            if not packed and not whole and (end := _end(data, max(reached, 0))):
                reached = end - 1
            at = data.find(mark, reached + 1 - shift)
            while at >= 0:
                if _begins_record(data[at : at + 4096]) if packed else not whole or _end(data, at + 1):
                    return at + shift
                at = data.find(mark, at + 1)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None
    return None


def _begins_record(member: bytes) -> bool:
    try:
        text = zlib.decompressobj(wbits=31).decompress(member, 5)
    except zlib.error:
        return False
    return text == b"WARC/" or (len(member) < 4096 and b"WARC/".startswith(text))  # a file may break off here


def _end(data: mmap.mmap, at: int) -> int | None:
    """Return where a record ends, if that is where it says: with another behind it or the end of the file."""
    head = data.find(b"\r\n\r\n", at, at + MAX_HEAD)
    length = _LENGTH.search(data, at, head + 2) if head >= 0 else None
    if not length:
        return None
    end = head + 4 + int(length[1])
    behind = data[end : end + 16].strip()
    return end if not behind or behind.startswith(b"WARC/") else None


def _document(record: Any, path: File, source: CorpusSource, options: Corpus) -> Document | Rejection | None:
    """Return the page of a record, or why there is none, or None for a record that is not about a page.

    Raises:
        OSError: the file is damaged within the record.
    """
    kind = (record.headers.get("WARC-Type") or "").strip().lower()
    if kind in _NOT_PAGES:
        return None
    place = f"{path}@{record.stream_pos}"
    uri = clean((record.headers.get("WARC-Target-URI") or place).strip("<> "))
    identity = record_id(clean(place), uri)
    if kind not in _PAGES or "Content-Length" not in record.headers:
        return fail(identity, "documents", "clipped", f"record of type {clean(kind)!r} with a broken header", uri=uri)
    record = spelled(record, path, int(record.stream_pos), options.max_document_bytes + MAX_HEAD)
    headers = record.http_headers if record.is_http else None
    if headers is not None and headers.status_code != 200:
        return reject(identity, "documents", "http-status", f"status {headers.status_code}, wanted 200", uri=uri)
    content = (record.http_content_type if headers is not None else record.headers.get("Content-Type")) or ""
    media = content.partition(";")[0].strip().lower()
    plain = kind == "conversion" and media == "text/plain"
    if content and media not in _HTML_TYPES and not plain:
        detail = f"type {clean(content)!r}, wanted {' or '.join(sorted(_HTML_TYPES))}"
        return reject(identity, "documents", "not-html", detail, uri=uri)
    length, most = int(record.content_length), options.max_document_bytes
    if length > most:
        return reject(identity, "documents", "too-large", f"{length} bytes, at most {most} wanted", uri=uri)
    data = record.reader.read()
    if len(data) < length:
        return fail(identity, "documents", "clipped", f"{len(data)} of {length} bytes", uri=uri)
    if cut := (record.headers.get("WARC-Truncated") or "").strip():
        detail = f"{length} bytes, all that the crawler took: WARC-Truncated is {clean(cut)!r}"
        return fail(identity, "documents", "clipped", detail, uri=uri)
    transfer, packing = ((headers.get(name) or "") if headers is not None else "" for name in _CODINGS)
    try:
        data = coding.undo(data, transfer, packing, most)
        text = decode(data, (record.http_charset if headers is not None else "") or "") if len(data) <= most else ""
    except Undecodable as error:
        return fail(identity, "documents", "undecodable", clean(str(error)), uri=uri)
    if len(data) > most:
        detail = f"at least {len(data)} bytes unpacked, at most {most} wanted"
        return reject(identity, "documents", "too-large", detail, uri=uri)
    if not content and b"<html" not in data[:2000].lower() and b"<!doctype html" not in data[:2000].lower():
        return reject(identity, "documents", "not-html", "no type is given, and it does not begin as HTML", uri=uri)
    if plain:
        return Document(uri, text, "text", source.format, "", source.licence)
    title, licence, date, author = head(text)
    if not date and headers is not None:
        date = modified(headers.get("Last-Modified") or "", record.headers.get("WARC-Date") or "")
    markup: Markup = "xhtml" if is_xhtml(text, media=media) else "html"
    return Document(uri, text, markup, source.format, title, licence or source.licence, date, author)


READER = Reader(read_warc, packed_too(".warc", ".wet"), spans=spans_of)
