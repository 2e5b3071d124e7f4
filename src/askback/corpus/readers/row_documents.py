"""What readers of rows share: a row that holds a text → a document."""

from collections.abc import Iterator
from typing import Any

from askback.corpus.readers.encoding import Undecodable, clean, decode
from askback.corpus.readers.head import day, head
from askback.corpus.xml import is_xhtml
from askback.inputs.rows import BrokenRow, Rows
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Markup, Rejection, fail, record_id, reject


def documents(rows: Rows, source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Yield the document of each row, or why it holds none."""
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
    title, licence, date, author = head(text) if source.markup == "html" else ("", "", "", "")
    title = _text(row, "title") or title
    licence = _text(row, "licence") or _text(row, "license") or licence or source.licence
    date = day(str(row.get("date") or "")) or date
    markup: Markup = "xhtml" if source.markup == "html" and is_xhtml(text) else source.markup
    return Document(uri, text, markup, source.format, title, licence, date, author)


def _text(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    return clean(value).strip() if isinstance(value, str) else ""
