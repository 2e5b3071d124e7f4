"""Data sets of the Hugging Face hub, or a folder that `datasets` can load, streamed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from askback.config import Corpus, CorpusSource
from askback.corpus.readers.encoding import clean
from askback.corpus.readers.rows import document
from askback.errors import InputError, MissingExtra
from askback.records import Document, Rejection, fail, record_id


def read_hub(paths: Sequence[Path], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per row of ``NAME[:SPLIT]`` (split "train" unless given); nothing is downloaded as a whole.

    Raises:
        MissingExtra: `datasets` is not installed.
        InputError: the data set or split cannot be opened.
    """
    name, _, split = source.path.partition(":")
    split = split or "train"
    rows = _open(name, split)
    number = taken = 0
    try:
        for record in rows:
            number += 1
            found = document(record, clean(f"hub:{name}:{split}#{number}"), source, options)
            yield found
            taken += isinstance(found, Document)
            if source.limit is not None and taken >= source.limit:
                return
    except Exception as error:  # noqa: BLE001  whatever network, format or builder raises, what was read stays
        uri = clean(f"hub:{name}:{split}#{number + 1}")
        detail = f"cannot be read from row {number + 1} on: {type(error).__name__}: {clean(str(error))[:300]}"
        yield fail(record_id(uri), "documents", "clipped", detail, uri=uri)


def _open(name: str, split: str) -> Any:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise MissingExtra("datasets", "local", "the corpus format 'hub'") from error
    try:
        return load_dataset(name, split=split, streaming=True)
    except Exception as error:
        detail = " ".join(str(error).split())[:300]
        raise InputError(
            f"hub:{name}:{split}: cannot be opened: {detail}. Check the name, the split and the network"
        ) from error
