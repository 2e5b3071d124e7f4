"""Markdown."""

from functools import partial

from askback.corpus.readers import Reader, packed_too
from askback.corpus.readers.file_documents import plain

READER = Reader(
    partial(plain, markup="markdown"), packed_too(".md", ".markdown", ".mkd", ".mdown"), lot=256, markup="markdown"
)
