"""Data sets of the hub."""

from collections.abc import Iterator, Sequence

from askback.corpus.readers import Reader
from askback.corpus.readers.row_documents import documents
from askback.inputs.remote import File
from askback.inputs.rows import hub_rows
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection


def read_hub(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per row of ``NAME[:SPLIT]``, streamed.

    Raises:
        MissingExtra: `datasets` is not installed.
        InputError: the data set or split cannot be opened.
    """
    yield from documents(hub_rows(source.path), source, options)


def fingerprint(source: CorpusSource) -> str:
    """Return what stands for its content: it is known by its name."""
    return "hub"


READER = Reader(read_hub, fingerprint=fingerprint)
