"""Readers: where documents come from; one record each, in the file that is called like it.

Their names are in recipe/names.py. A reader yields each document it finds, or a `Rejection` of stage "documents" for what
it could not or would not read; a broken record never ends the reading of those after it.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from askback.errors import InputError
from askback.inputs import packed
from askback.inputs.remote import File, find, is_url, local
from askback.lookup import lookup
from askback.recipe import Corpus, CorpusSource
from askback.recipe.names import DOCUMENTS
from askback.records import DRAWS, Document, Markup, Rejection, draw

if TYPE_CHECKING:
    from askback.corpus.readers.warc import Span

Read: TypeAlias = Callable[..., Iterator[Document | Rejection]]
"""Takes files, the source and the corpus options; of a WARC file also the span that is to be read."""


@dataclass(frozen=True)
class Reader:
    """All there is to know of a reader."""

    read: Read
    suffixes: tuple[str, ...] = ()
    """The files that are taken from a folder; a file named by itself or by a glob may be called anything. () reads none."""
    lot: int = 0
    """How many files make one piece of work, where a file is one document; 0 where it holds many."""
    spans: "Callable[[Sequence[File]], list[tuple[File, Span]]] | None" = None
    """Cuts the files of a source into parts that are pieces of work."""
    fingerprint: Callable[[CorpusSource], str] | None = None
    """Of what is no file; files are known by their content."""
    count: Callable[[], int] | None = None
    """Counts the documents of a source without files, where that needs no reading of them."""
    needs_path: bool = True
    markup: Markup = "html"
    """What most of its documents hold."""


def packed_too(*suffixes: str) -> tuple[str, ...]:
    """Return the suffixes of files that may be packed."""
    return tuple(f"{suffix}{packing}" for packing in ("", *packed.SUFFIXES) for suffix in suffixes)


def reader(format: str) -> Reader:
    """Return the reader of a format."""
    found: Reader = lookup(DOCUMENTS, format, "document format")
    return found


def documents(
    source: CorpusSource, paths: Sequence[File], options: Corpus, random_seed: int = 0, span: "Span | None" = None
) -> Iterator[Document | Rejection]:
    """Read one piece of a source; what cannot be read comes as a rejection (`read_all`, `drawn`)."""
    return drawn(source, read_all(source, paths, options, span), random_seed)


def read_all(
    source: CorpusSource, paths: Sequence[File], options: Corpus, span: "Span | None" = None
) -> Iterator[Document | Rejection]:
    """Read all that some files of a source hold, or a part of one."""
    read = reader(source.format).read
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
    files, spans = splits(source), reader(source.format).spans
    if spans is None or source.limit is not None:
        return [(paths, None) for paths in files]
    return [([path], span) for path, span in spans([path for (path,) in files])]


def splits(source: CorpusSource) -> list[list[File]]:
    """Return the files of a source, those that are read in one go together, always in the same order.

    A WARC, JSONL or Parquet file stands alone; pages and texts come in lots of 256, PDFs of 32; `hub` and `installed-docs`
    are one lot without a path. Folders are searched to the bottom, hidden files and folders left out.

    Raises:
        InputError: nothing is there, nothing fits, or a file cannot be read.
        MissingExtra: what a URL needs is not installed.
    """
    known = reader(source.format)
    if not known.suffixes:
        return [[]]
    path = local(source.path)
    remote = is_url(path)
    files: Sequence[File] = (
        find(path, known.suffixes, source.format) if remote else _files(path, source.format, known.suffixes)
    )
    for file in files:
        if isinstance(file, Path) and not os.access(file, os.R_OK):
            raise InputError(f"{file}: cannot be read; check that it exists and its permissions")
    size = known.lot or 1
    return [list(files[start : start + size]) for start in range(0, len(files), size)]


def _files(pattern: str, kind: str, suffixes: tuple[str, ...]) -> list[Path]:
    path = Path(pattern).expanduser()
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
