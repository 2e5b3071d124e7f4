"""What the corpus tests share: default options, and the real data where it is there."""

from itertools import islice
from pathlib import Path

import pytest

from askback.corpus.readers.warc import read_warc
from askback.recipe import Corpus, CorpusSource
from askback.records import Document


@pytest.fixture
def options() -> Corpus:
    return Corpus(sources=[CorpusSource(format="installed-docs")])


@pytest.fixture(scope="session")
def warc_folder(shared_data: Path) -> Path:
    """Four real crawl files with their real defects."""
    return shared_data / "corpus" / "warc-real"


@pytest.fixture(scope="session")
def web_pages(shared_data: Path) -> list[Document]:
    """Every twentieth page of the web sample."""
    path = shared_data / "corpus" / "web-sample.warc.gz"
    source = CorpusSource(format="warc", path=str(path))
    pages = islice(read_warc([path], source, Corpus(sources=[source])), 0, None, 20)
    return [page for page in pages if isinstance(page, Document)]
