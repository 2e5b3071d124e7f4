"""JSON Lines, Parquet and hub data sets: a row that holds a text → a document."""

from collections.abc import Iterator, Sequence
from typing import Any

from askback.corpus.readers.encoding import Undecodable, clean, decode
from askback.corpus.readers.head import day, head
from askback.corpus.xml import is_xhtml
from askback.inputs.parquet import parquet_rows
from askback.inputs.remote import File
from askback.inputs.rows import BrokenRow, Rows, hub_rows, json_rows
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Markup, Rejection, fail, record_id, reject

LINE_PER_TEXT = 8
"""A line may be so many times as long as a document: JSON escapes take up to six bytes, and there are other fields."""


def read_jsonl(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per line, or element of a list. A broken one is one failure, named by its place in the file."""
    for path in paths:
        yield from _documents(json_rows(path, LINE_PER_TEXT * options.max_document_bytes), source, options)


def read_parquet(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per row; a file that breaks off is read up to there, then fails.

    Raises:
        InputError: a file has no column called `text_field`.
    """
    for path in paths:
        yield from _documents(
            parquet_rows(path, (source.text_field, "title", "licence", "license", "date")), source, options
        )


def read_hub(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per row of ``NAME[:SPLIT]``, streamed.

    Raises:
        MissingExtra: `datasets` is not installed.
        InputError: the data set or split cannot be opened.
    """
    yield from _documents(hub_rows(source.path), source, options)


def _documents(rows: Rows, source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    return (_document(row, clean(where), source, options) for where, row in rows)


def _document(row: dict[str, Any] | BrokenRow, uri: str, source: CorpusSource, options: Corpus) -> Document | Rejection:
    """Return the document a row holds, or why it holds none.

    Besides the text field, fields `title`, `licence` or `license`, and `date` are used where they are.
    """
    identity = record_id(uri)
    if isinstance(row, BrokenRow):
        drop = reject if row.rule in ("too-large", "empty") else fail
        return drop(identity, "documents", row.rule, f"{uri}: {clean(str(row))}", uri=uri)
    text = row.get(source.text_field)
    if isinstance(text, bytes):
        try:
            text = decode(text)
        except Undecodable as error:
            return fail(identity, "documents", "undecodable", f"field '{source.text_field}': {error}", uri=uri)
    if not isinstance(text, str):
        found = "is missing" if source.text_field not in row else f"holds {type(text).__name__}, not text"
        fields = ", ".join(str(name)[:40] for name in list(row)[:20])
        detail = f"field '{source.text_field}' {found}; the row has: {clean(fields)}"
        return fail(identity, "documents", "no-text-field", detail, uri=uri)
    text = clean(text)
    size = len(text.encode("utf-8"))
    if size > options.max_document_bytes:
        detail = f"{size} bytes, at most {options.max_document_bytes} wanted"
        return reject(identity, "documents", "too-large", detail, uri=uri, text=text)
    if not text.strip():
        detail = f"field '{source.text_field}': {size} bytes, all white space"
        return reject(identity, "documents", "no-text", detail, uri=uri)
    title, licence, date = head(text) if source.markup == "html" else ("", "", "")
    title = _text(row, "title") or title
    licence = _text(row, "licence") or _text(row, "license") or licence or source.licence
    date = day(str(row.get("date") or "")) or date
    markup: Markup = "xhtml" if source.markup == "html" and is_xhtml(text) else source.markup
    return Document(uri, text, markup, source.format, title, licence, date)


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return clean(value).strip() if isinstance(value, str) else ""
