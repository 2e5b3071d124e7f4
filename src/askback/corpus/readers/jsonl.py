"""JSON Lines, plain or compressed with gzip or zstandard."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from askback.config import Corpus, CorpusSource
from askback.corpus.readers.encoding import clean
from askback.corpus.readers.rows import document
from askback.errors import InputError
from askback.records import Document, Rejection, fail, record_id, reject

LINE_PER_TEXT = 8
"""A line may be so many times as long as a document: JSON escapes take up to six bytes, and there are other fields."""


def read_jsonl(paths: Sequence[Path], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per line. A broken line is one failure, named by file and line; blank lines are nothing.

    Raises:
        InputError: a file is compressed with zstandard and no library for it is installed.
    """
    for path in paths:
        taken = 0
        for found in _file(path, source, options):
            yield found
            taken += isinstance(found, Document)
            if source.limit is not None and taken >= source.limit:
                break


def _file(path: Path, source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    number = 0
    name = clean(str(path))
    longest = LINE_PER_TEXT * options.max_document_bytes
    try:
        with open_lines(path) as lines:
            while line := lines.readline(longest + 1):
                number += 1
                uri = f"{name}#{number}"
                if len(line) > longest:
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(longest)
                    detail = f"{name}:{number}: a line of more than {longest} bytes"
                    yield reject(record_id(uri), "documents", "too-large", detail, uri=uri)
                elif line.strip():
                    yield _line(line, uri, f"{name}:{number}", source, options)
    except (OSError, EOFError, zlib.error) as error:
        uri = f"{name}#{number + 1}"
        detail = f"{name}:{number + 1}: cannot be read from here on: {error}"
        yield fail(record_id(uri), "documents", "clipped", detail, uri=uri)


def _line(line: bytes, uri: str, where: str, source: CorpusSource, options: Corpus) -> Document | Rejection:
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        excerpt = line[:2000].decode("utf-8", "replace")
        detail = f"{where}: not valid JSON: {clean(str(error))}"
        return fail(record_id(uri), "documents", "broken-json", detail, uri=uri, text=excerpt)
    return document(record, uri, source, options)


def open_lines(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked by its suffix (.gz, .zst).

    Raises:
        InputError: it is a .zst file and no library for that is installed.
    """
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if path.suffix == ".zst":
        try:
            import zstandard
        except ImportError as error:
            message = (
                f"{path}: .zst files need zstandard, which is not installed. Install it with: pip install zstandard"
            )
            raise InputError(message) from error
        return zstandard.open(path, "rb")  # type: ignore[no-any-return]
    return path.open("rb")
