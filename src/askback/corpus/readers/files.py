"""Files that are one document each: HTML pages, Markdown, reStructuredText and plain text."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from askback.config import Corpus, CorpusSource
from askback.corpus.readers.encoding import clean, decode, head
from askback.records import Document, Markup, Rejection, fail, record_id, reject


def read_html(paths: Sequence[Path], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read pages; title and licence are what the page's head states, else the source's licence."""
    for path, text in _texts(paths, options):
        if isinstance(text, Rejection):
            yield text
            continue
        title, licence = head(text)
        yield Document(clean(str(path)), text, "html", "html", title, licence or source.licence)


def read_markdown(paths: Sequence[Path], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read Markdown; a file without headers is titled by its name."""
    return _plain(paths, source, options, "markdown")


def read_text(paths: Sequence[Path], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read plain text, and as reStructuredText what is called .rst."""
    return _plain(paths, source, options, "text")


def _plain(
    paths: Sequence[Path], source: CorpusSource, options: Corpus, markup: Markup
) -> Iterator[Document | Rejection]:
    for path, text in _texts(paths, options):
        if isinstance(text, Rejection):
            yield text
            continue
        kind: Markup = "rst" if markup == "text" and path.suffix.lower() == ".rst" else markup
        title = "" if markup == "text" else clean(path.stem)
        yield Document(clean(str(path)), text, kind, source.format, title, source.licence)


def _texts(paths: Sequence[Path], options: Corpus) -> Iterator[tuple[Path, str | Rejection]]:
    """Yield the text of each file, or why it has none."""
    for path in paths:
        uri = clean(str(path))
        try:
            size = path.stat().st_size
            data = path.read_bytes() if size <= options.max_document_bytes else b""
        except OSError as error:
            yield path, fail(record_id(uri), "documents", "unreadable", str(error.strerror or error), uri=uri)
            continue
        if size > options.max_document_bytes:
            detail = f"{size} bytes, at most {options.max_document_bytes}"
            yield path, reject(record_id(uri), "documents", "too-large", detail, uri=uri)
        elif not data.strip():
            yield path, reject(record_id(uri), "documents", "no-text", uri=uri)
        else:
            yield path, decode(data)
