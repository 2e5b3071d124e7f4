"""JSON Lines, and JSON of other forms."""

from collections.abc import Iterator, Sequence

from askback.corpus.readers import Reader, packed_too
from askback.corpus.readers.row_documents import documents
from askback.inputs.remote import File
from askback.inputs.rows import json_rows
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection

LINE_PER_TEXT = 8
"""Longest line, in lengths of the longest document: JSON escapes take up to six bytes, and there are other fields."""


def read_jsonl(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per line, or element of a list. A broken one is one failure, named by its place in the file."""
    for path in paths:
        yield from documents(json_rows(path, LINE_PER_TEXT * options.max_document_bytes), source, options)


READER = Reader(read_jsonl, packed_too(".jsonl", ".ndjson", ".json"))
