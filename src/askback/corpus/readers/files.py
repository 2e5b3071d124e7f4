"""Files that are one document each: HTML pages, Markdown, reStructuredText and plain text, packed (.gz, .zst) or not."""

import zlib
from collections.abc import Iterator, Sequence

from askback.config import Corpus, CorpusSource
from askback.corpus.readers.encoding import clean, decode
from askback.corpus.readers.head import head
from askback.records import Document, Markup, Rejection, fail, record_id, reject
from askback.remote import File
from askback.rows import open_bytes


def read_html(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read pages; title, licence and date are what the page states, the licence else the source's."""
    for path, data in contents(paths, options):
        if isinstance(data, Rejection):
            yield data
            continue
        text = decode(data)
        title, licence, date = head(text)
        yield Document(clean(str(path)), text, "html", "html", title, licence or source.licence, date)


def read_markdown(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read Markdown; a file without headers is titled by its name."""
    return _plain(paths, source, options, "markdown")


def read_text(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read plain text, and as reStructuredText what is called .rst."""
    return _plain(paths, source, options, "text")


def _plain(
    paths: Sequence[File], source: CorpusSource, options: Corpus, markup: Markup
) -> Iterator[Document | Rejection]:
    for path, data in contents(paths, options):
        if isinstance(data, Rejection):
            yield data
            continue
        name = path.name.removesuffix(".gz").removesuffix(".zst")
        kind: Markup = "rst" if markup == "text" and name.lower().endswith(".rst") else markup
        title = "" if markup == "text" else clean(name.rpartition(".")[0] or name)
        yield Document(clean(str(path)), decode(data), kind, source.format, title, source.licence)


def contents(paths: Sequence[File], options: Corpus) -> Iterator[tuple[File, bytes | Rejection]]:
    """Yield the bytes of each file, unpacked, or why there are none; of what is too large, no more is ever read."""
    most = options.max_document_bytes
    for path in paths:
        uri = clean(str(path))
        try:
            with open_bytes(path) as file:
                data = file.read(most + 1)
        except (OSError, EOFError, zlib.error) as error:
            why = clean(str(getattr(error, "strerror", None) or error))
            yield path, fail(record_id(uri), "documents", "unreadable", why, uri=uri)
            continue
        if len(data) > most:
            detail = f"at least {len(data)} bytes, at most {most} wanted"
            yield path, reject(record_id(uri), "documents", "too-large", detail, uri=uri)
        elif not data.strip():
            yield path, reject(record_id(uri), "documents", "no-text", f"{len(data)} bytes, all white space", uri=uri)
        else:
            yield path, data
