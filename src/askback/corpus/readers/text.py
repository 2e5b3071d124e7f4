"""Plain text and reStructuredText."""

from functools import partial

from askback.corpus.readers import Reader, packed_too
from askback.corpus.readers.file_documents import plain

READER = Reader(partial(plain, markup="text"), packed_too(".txt", ".text", ".rst"), lot=256, markup="rst")
