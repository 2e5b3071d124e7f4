"""Parquet files."""

from collections.abc import Iterator, Sequence

from askback.corpus.readers import Reader
from askback.corpus.readers.row_documents import documents
from askback.inputs.parquet import parquet_rows
from askback.inputs.remote import File
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection


def read_parquet(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per row; a file that breaks off is read up to there, then fails.

    Raises:
        InputError: a file has no column called `text_field`.
    """
    for path in paths:
        yield from documents(
            parquet_rows(path, (source.text_field, "title", "licence", "license", "date")), source, options
        )


READER = Reader(read_parquet, (".parquet", ".pq"))
