"""Pages of HTML and XHTML."""

from collections.abc import Iterator, Sequence

from askback.corpus.readers import Reader, packed_too
from askback.corpus.readers.encoding import clean
from askback.corpus.readers.file_documents import texts
from askback.corpus.readers.head import head
from askback.corpus.xml import is_xhtml
from askback.inputs.packed import unpacked_name
from askback.inputs.remote import File
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Markup, Rejection


def read_html(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read pages; title, licence and date are what the page states, the licence else the source's."""
    for path, text in texts(paths, options):
        if isinstance(text, Rejection):
            yield text
            continue
        title, licence, date, author = head(text)
        markup: Markup = "xhtml" if is_xhtml(text, unpacked_name(path.name)) else "html"
        yield Document(clean(str(path)), text, markup, "html", title, licence or source.licence, date, author)


READER = Reader(read_html, packed_too(".html", ".htm", ".xhtml", ".xht"), lot=256)
