"""Readers: where documents come from. One file for each kind of source, one line for each format.

A reader is a function ``read(paths, source, options)`` that yields each document it finds, or a `Rejection` of stage
"documents" for what it could not or would not read; a broken record never ends the reading of those after it.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from askback.errors import InputError
from askback.inputs import packed
from askback.inputs.remote import File, find, is_url, local
from askback.lookup import lookup
from askback.recipe import Corpus, CorpusSource
from askback.records import DRAWS, Document, Rejection, draw

if TYPE_CHECKING:
    from askback.corpus.readers.warc import Span

Read: TypeAlias = Callable[..., Iterator[Document | Rejection]]
"""Takes files, the source and the corpus options; of a WARC file also the span that is to be read."""

READERS = {
    "html": "askback.corpus.readers.file_documents:read_html",
    "markdown": "askback.corpus.readers.file_documents:read_markdown",
    "text": "askback.corpus.readers.file_documents:read_text",
    "pdf": "askback.corpus.readers.pdf:read_pdf",
    "warc": "askback.corpus.readers.warc:read_warc",
    "jsonl": "askback.corpus.readers.row_documents:read_jsonl",
    "parquet": "askback.corpus.readers.row_documents:read_parquet",
    "hub": "askback.corpus.readers.row_documents:read_hub",
    "installed-docs": "askback.corpus.readers.installed_docs:read_installed_docs",
}


def _packed(*suffixes: str) -> tuple[str, ...]:
    return tuple(f"{suffix}{packing}" for packing in ("", *packed.SUFFIXES) for suffix in suffixes)


SUFFIXES = {
    "html": _packed(".html", ".htm", ".xhtml", ".xht"),
    "markdown": _packed(".md", ".markdown", ".mkd", ".mdown"),
    "text": _packed(".txt", ".text", ".rst"),
    "pdf": _packed(".pdf"),
    "warc": _packed(".warc", ".wet"),
    "jsonl": _packed(".jsonl", ".ndjson", ".json"),
    "parquet": (".parquet", ".pq"),
}
"""The files that are taken from a folder; a file named by itself or by a glob may be called anything."""

SMALL_FILES = {"html": 256, "markdown": 256, "text": 256, "pdf": 32}
"""How many files make one piece of work, where a file is one document."""


def documents(
    source: CorpusSource, paths: Sequence[File], options: Corpus, random_seed: int = 0, span: "Span | None" = None
) -> Iterator[Document | Rejection]:
    """Read one piece of a source; what cannot be read comes as a rejection (`read_all`, `drawn`)."""
    return drawn(source, read_all(source, paths, options, span), random_seed)


def read_all(
    source: CorpusSource, paths: Sequence[File], options: Corpus, span: "Span | None" = None
) -> Iterator[Document | Rejection]:
    """Read all that some files of a source hold, or a part of one."""
    read: Read = lookup(READERS, source.format, "document format")
    return read(paths, source, options) if span is None else read(paths, source, options, span=span)


def drawn(
    source: CorpusSource, all_found: Iterator[Document | Rejection], random_seed: int, taken: int = 0
) -> Iterator[Document | Rejection]:
    """Yield what is drawn of a piece of a source, at most `source.limit` documents, `taken` of them before.

    With `source.sample`, whether a document is drawn depends on the random seed and its URI alone, so neither order nor
    worker count changes the draw. What is not drawn is not counted as read, be it a document or one that would be rejected,
    so that counts and rejected files are those of the sample; what fails is always counted.
    """
    below = source.sample * DRAWS
    for found in all_found:
        failed = isinstance(found, Rejection) and found.outcome == "failed"
        if source.sample < 1 and not failed and draw(random_seed, "sample", found.uri) >= below:
            continue
        yield found
        taken += isinstance(found, Document)
        if source.limit is not None and taken >= source.limit:
            return


def pieces(source: CorpusSource) -> list[tuple[list[File], "Span | None"]]:
    """Return the pieces of work of a source, always the same ones in the same order: files, and what part of them.

    A large WARC file is cut into spans, unless `source.limit` counts its documents from the first.
    """
    files = splits(source)
    if source.format != "warc" or source.limit is not None:
        return [(paths, None) for paths in files]
    from askback.corpus.readers.warc import MAX_SPANS, SPAN_BYTES, spans

    size = max(SPAN_BYTES, sum(path.stat().st_size for (path,) in files if isinstance(path, Path)) // MAX_SPANS)
    return [([path], span) for (path,) in files for span in spans(path, size)]


def splits(source: CorpusSource) -> list[list[File]]:
    """Return the files of a source, those that are read in one go together, always in the same order.

    A WARC, JSONL or Parquet file stands alone; pages and texts come in lots of 256, PDFs of 32; `hub` and `installed-docs`
    are one lot without a path. Folders are searched to the bottom, hidden files and folders left out.

    Raises:
        InputError: nothing is there, nothing fits, or a file cannot be read.
        MissingExtra: what a URL needs is not installed.
    """
    if source.format not in SUFFIXES:
        return [[]]
    path = local(source.path)
    remote = is_url(path)
    files: Sequence[File] = (
        find(path, SUFFIXES[source.format], source.format) if remote else _files(path, source.format)
    )
    for file in files:
        if isinstance(file, Path) and not os.access(file, os.R_OK):
            raise InputError(f"{file}: cannot be read; check that it exists and its permissions")
    size = SMALL_FILES.get(source.format, 1)
    return [list(files[start : start + size]) for start in range(0, len(files), size)]


def _files(pattern: str, kind: str) -> list[Path]:
    path = Path(pattern).expanduser()
    suffixes = SUFFIXES[kind]
    if path.is_dir():
        try:
            found = [file for file in path.rglob("*") if file.name.lower().endswith(suffixes) and _visible(file, path)]
        except OSError as error:
            raise InputError(f"{path}: cannot be searched: {error.strerror}") from error
        missing = f"{path}: no {kind} files in this folder; looked for {', '.join(suffixes)}"
    elif path.exists():
        found, missing = [path], f"{path}: not a file; corpus sources take a file, a folder or a glob"
    elif any(character in pattern for character in "*?["):
        try:
            found = list(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
        except (ValueError, NotImplementedError, OSError, re.error) as error:
            raise InputError(f"{pattern}: not a pattern of files: {error}") from error
        missing = f"{pattern}: no file matches this pattern"
    else:
        raise InputError(f"{path}: there is no such file or folder; corpus sources take a file, a folder or a glob")
    found = sorted((file for file in found if file.is_file() or not file.exists()), key=lambda file: file.parts)
    if not found:
        raise InputError(missing)
    return found


def _visible(file: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in file.relative_to(folder).parts)
