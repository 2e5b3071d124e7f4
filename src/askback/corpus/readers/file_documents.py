"""What readers of files that are one document each share: their bytes, unpacked, and their text."""

from collections.abc import Iterator, Sequence

from askback.corpus.readers.encoding import Undecodable, clean, decode
from askback.inputs.packed import Damaged, open_bytes, unpacked_name
from askback.inputs.remote import File
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Markup, Rejection, fail, record_id, reject


def plain(
    paths: Sequence[File], source: CorpusSource, options: Corpus, markup: Markup
) -> Iterator[Document | Rejection]:
    """Read files of text; one of Markdown without headers is titled by its name, one of text called .rst is that."""
    for path, text in texts(paths, options):
        if isinstance(text, Rejection):
            yield text
            continue
        name = unpacked_name(path.name)
        kind: Markup = "rst" if markup == "text" and name.lower().endswith(".rst") else markup
        title = "" if markup == "text" else clean(name.rpartition(".")[0] or name)
        yield Document(clean(str(path)), text, kind, source.format, title, source.licence)


def texts(paths: Sequence[File], options: Corpus) -> Iterator[tuple[File, str | Rejection]]:
    """Yield the text of each file, or why there is none."""
    for path, data in contents(paths, options):
        try:
            yield path, data if isinstance(data, Rejection) else decode(data)
        except Undecodable as error:
            uri = clean(str(path))
            yield path, fail(record_id(uri), "documents", "undecodable", str(error), uri=uri)


def contents(paths: Sequence[File], options: Corpus) -> Iterator[tuple[File, bytes | Rejection]]:
    """Yield the bytes of each file, unpacked, or why there are none; of what is too large, no more is ever read."""
    most = options.max_document_bytes
    for path in paths:
        uri = clean(str(path))
        try:
            with open_bytes(path) as file:
                data = file.read(most + 1)
        except OSError as error:
            rule = "undecodable" if isinstance(error, Damaged) else "unreadable"
            yield path, fail(record_id(uri), "documents", rule, clean(error.strerror or str(error)), uri=uri)
            continue
        if len(data) > most:
            detail = f"at least {len(data)} bytes, at most {most} wanted"
            yield path, reject(record_id(uri), "documents", "too-large", detail, uri=uri)
        elif not data.strip():
            yield path, reject(record_id(uri), "documents", "no-text", f"{len(data)} bytes, all white space", uri=uri)
        else:
            yield path, data
