"""A record of JSONL, Parquet or a hub data set → a document."""

from typing import Any

from askback.config import Corpus, CorpusSource
from askback.corpus.readers.encoding import clean, head
from askback.records import Document, Rejection, fail, record_id, reject


def document(record: Any, uri: str, source: CorpusSource, options: Corpus) -> Document | Rejection:
    """Return the document a record holds, or why it holds none.

    Besides the text field, string fields `title`, and `licence` or `license`, are used where they are.
    """
    identity = record_id(uri)
    if not isinstance(record, dict):
        return fail(identity, "documents", "not-a-record", f"found {type(record).__name__}, wanted an object", uri=uri)
    text = record.get(source.text_field)
    if not isinstance(text, str):
        found = "is missing" if source.text_field not in record else f"holds {type(text).__name__}, not text"
        fields = ", ".join(str(name)[:40] for name in list(record)[:20])
        detail = f"field '{source.text_field}' {found}; the record has: {clean(fields)}"
        return fail(identity, "documents", "no-text-field", detail, uri=uri)
    text = clean(text)
    size = len(text.encode("utf-8"))
    if size > options.max_document_bytes:
        detail = f"{size} bytes, at most {options.max_document_bytes}"
        return reject(identity, "documents", "too-large", detail, uri=uri, text=text)
    if not text.strip():
        return reject(identity, "documents", "no-text", uri=uri)
    title, licence = head(text) if source.markup == "html" else ("", "")
    title = _text(record, "title") or title
    licence = _text(record, "licence") or _text(record, "license") or licence or source.licence
    return Document(uri, text, source.markup, source.format, title, licence)


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    return clean(value).strip() if isinstance(value, str) else ""
