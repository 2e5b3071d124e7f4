"""JSON Lines, plain or compressed with gzip or zstandard."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from fastwarc.stream_io import ZstdReader

from askback.config import Corpus, CorpusSource
from askback.corpus.readers.encoding import clean
from askback.corpus.readers.rows import document
from askback.records import Document, Rejection, fail, record_id, reject

LINE_PER_TEXT = 8
"""A line may be so many times as long as a document: JSON escapes take up to six bytes, and there are other fields."""


def read_jsonl(paths: Sequence[Path], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per line. A broken line is one failure, named by file and line; blank lines are nothing."""
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
    """Open a file for reading, unpacked by its suffix (.gz, .zst)."""
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if path.suffix == ".zst":
        return io.BufferedReader(_Zstandard(path))
    return path.open("rb")


class _Zstandard(io.RawIOBase):
    """FastWARC's reader of zstandard files, as a stream that `io` can buffer."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._reader = ZstdReader(self._file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._reader.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
