"""Parquet files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from askback.config import Corpus, CorpusSource
from askback.corpus.readers.encoding import clean
from askback.corpus.readers.rows import document
from askback.errors import InputError
from askback.lookup import nearest
from askback.records import Document, Rejection, fail, record_id

BATCH_ROWS = 256


def read_parquet(paths: Sequence[Path], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per row; a file that breaks off is read up to there, then fails.

    Raises:
        InputError: a file has no column called `text_field`.
    """
    for path in paths:
        taken = 0
        for found in _file(path, source, options):
            yield found
            taken += isinstance(found, Document)
            if source.limit is not None and taken >= source.limit:
                break


def _file(path: Path, source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, number = clean(str(path)), 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if source.text_field not in names:
                hint = nearest(source.text_field, names)
                raise InputError(
                    f"{path}: no column '{source.text_field}'; it has {', '.join(names)}.{hint} Set text_field"
                )
            wanted = [column for column in (source.text_field, "title", "licence", "license") if column in names]
            for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                for record in batch.to_pylist():
                    number += 1
                    yield document(record, f"{name}#{number}", source, options)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        uri = f"{name}#{number + 1}"
        detail = f"{name}: cannot be read from row {number + 1} on: {clean(' '.join(str(error).split()))[:300]}"
        yield fail(record_id(uri), "documents", "clipped" if number else "unreadable", detail, uri=uri)
