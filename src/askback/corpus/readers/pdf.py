"""PDF files → the text of each as HTML: headers, paragraphs and lists, so that one segmenter cuts all.

pypdf reads them: pure Python, BSD-licensed, and every step of its work has a limit. A PDF holds no paragraphs and no
headers, only lines; both are guessed here. Columns come in the order in which the file draws them.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from string import digits
from typing import Any, NamedTuple

from askback.corpus.bounds import check_memory
from askback.corpus.readers import Reader, packed_too
from askback.corpus.readers.encoding import clean
from askback.corpus.readers.file_documents import contents
from askback.corpus.readers.head import day
from askback.errors import MissingExtra, reason_of
from askback.inputs.remote import File
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection, fail, record_id, reject

MAX_PAGES = 2000
"""A PDF with more pages is rejected; the usual is 50 to 100 pages a second."""

_LARGER = 1.15
"""Least size of a header's type, in sizes of most of the text, where the file has no outline."""
_HEADER_CHARS, _HEADER_LINES = 200, 3
_REPEATED_PAGES = 3
"""Pages whose top or bottom holds a line that is a running head; one page less if it begins or ends in a number."""
_BULLET = re.compile(r"[•‣◦▪●∙·–]\s*(?=\S)")
_LEADERS = re.compile(r"\.(?:\s?\.){4}\Z")
"""What leads from a title to its page in a table of contents."""
_GOES_ON = -1  # the level of a further line of the header above
_ENDS = (".", "!", "?", ":", "。", "！", "？", "؟", "।")


class Line(NamedTuple):
    """A line of a page, the size of its type in points, and the titles that the outline has on its page."""

    text: str
    size: float
    outline: dict[str, int]


def read_pdf(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read one document per PDF, its title and day of creation from the file's own metadata.

    What is encrypted, over `max_document_bytes` (packed, any part unpacked, or as text) or over `MAX_PAGES` is rejected;
    what is broken fails. A scan has no text.

    Raises:
        MissingExtra: pypdf is not installed.
    """
    try:
        import pypdf  # noqa: F401
    except ImportError as error:
        raise MissingExtra("pypdf", "pdf", "Reading PDF files") from error
    for path, data in contents(paths, options):
        yield data if isinstance(data, Rejection) else _document(data, path, source, options)


def _document(data: bytes, path: File, source: CorpusSource, options: Corpus) -> Document | Rejection:
    from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

    uri = clean(str(path))
    identity = record_id(uri)
    try:
        with _limits(options.max_document_bytes):
            lines, title, date = _read(data)
            html = clean("\n".join(_html(lines)))
    except (DependencyError, FileNotDecryptedError) as error:
        return reject(identity, "documents", "encrypted", clean(reason_of(error)), uri=uri)
    except MemoryError:
        raise
    except LimitReachedError as error:
        bounds = f"at most {options.max_document_bytes} bytes unpacked and {MAX_PAGES} pages wanted"
        return reject(identity, "documents", "too-large", f"{clean(reason_of(error))}; {bounds}", uri=uri)
    except Exception as error:  # noqa: BLE001  a broken file may raise anything in pypdf
        check_memory()
        return fail(identity, "documents", "unreadable", clean(f"{type(error).__name__}: {reason_of(error)}"), uri=uri)
    if not html:
        return reject(identity, "documents", "no-text", "no text in it; a scan, perhaps", uri=uri)
    if (size := len(html.encode())) > options.max_document_bytes:
        detail = f"{size} bytes of text, at most {options.max_document_bytes}"
        return reject(identity, "documents", "too-large", detail, uri=uri)
    return Document(uri, html, "html", source.format, clean(title) or clean(path.stem), source.licence, date)


def _read(data: bytes) -> tuple[list[Line], str, str]:
    """Return the lines of a PDF, its title, and the day it was made."""
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError

    reader = PdfReader(io.BytesIO(data))
    count = len(reader.pages)
    if count > MAX_PAGES:
        raise LimitReachedError(f"{count} pages, at most {MAX_PAGES}")
    outline = _outline(reader)
    pages = [_lines(page, outline.get(number, {})) for number, page in enumerate(reader.pages)]
    about = reader.metadata
    title = " ".join(str(about.title or "").split()) if about else ""
    made = day(str(about.get("/CreationDate", "")).removeprefix("D:")[:8]) if about else ""
    return _without_running_heads(pages), title, made


def _outline(reader: Any) -> dict[int, dict[str, int]]:
    """Return, for each page that the outline names, its titles there and their levels."""
    found: dict[int, dict[str, int]] = {}
    try:
        waiting = [(entry, 1) for entry in reader.outline]
        while waiting:
            entry, level = waiting.pop()
            if isinstance(entry, list):
                waiting += [(inner, level + 1) for inner in entry]
            elif (page := reader.get_destination_page_number(entry)) is not None and (name := _letters(entry.title)):
                found.setdefault(page, {})[name] = min(level, 6)
    except Exception:  # noqa: BLE001  a broken outline is none, and the sizes of the type serve instead
        return {}
    return found


def _lines(page: Any, outline: dict[str, int]) -> list[Line]:
    """Return the lines of a page in the order they are drawn, each with the size of most of its characters."""
    sizes: list[Counter[float]] = [Counter()]
    texts = [""]

    def visit(text: str, cm: Any, tm: Any, font: Any, size: float) -> None:
        scale = (abs(tm[3]) or abs(tm[2]) or 1.0) * (abs(cm[3]) or abs(cm[2]) or 1.0)
        for number, part in enumerate(text.split("\n")):
            if number:
                sizes.append(Counter())
                texts.append("")
            texts[-1] += part
            sizes[-1][round(2 * size * scale) / 2] += len(part.strip())

    page.extract_text(visitor_text=visit)
    words = (" ".join(text.split()) for text in texts)
    return [Line(text, size.most_common(1)[0][0], outline) for text, size in zip(words, sizes, strict=True) if text]


def _without_running_heads(pages: list[list[Line]]) -> list[Line]:
    def edge(lines: list[Line]) -> list[str]:
        return [_letters(line.text) for line in (*lines[:2], *lines[2:][-2:])]

    on_pages = Counter(name for lines in pages for name in set(edge(lines)))
    kept = []
    for lines in pages:
        for at, line in enumerate(lines):
            name = _letters(line.text)
            at_edge = at < 2 or at >= len(lines) - 2
            often = _REPEATED_PAGES - (line.text[0].isdigit() or line.text[-1].isdigit())
            if not (at_edge and (not name or on_pages[name] >= often)) and not _leads(line.text):
                kept.append(line)
    return kept


def _leads(text: str) -> bool:
    """Tell whether a line ends in dots, and perhaps a number behind them."""
    return bool(_LEADERS.search(text.rstrip().rstrip(digits).rstrip()[-9:]))


def _html(lines: list[Line]) -> Iterator[str]:
    """Yield the headers, paragraphs and list items that lines make up."""
    levels = _by_outline(lines) or _by_size(lines)
    long = 0.8 * sorted(len(line.text) for line in lines)[int(0.9 * len(lines))] if lines else 0.0
    block, kind = list[str](), ""
    for at, line in enumerate(lines):
        level = levels.get(at, 0)
        goes_on = level == _GOES_ON
        if not goes_on and (level or not block or _begins(lines[at - 1].text, line.text, kind, long)):
            if block:
                yield f"<{kind}>{escape(''.join(block))}</{kind}>"
            bullet = _BULLET.match(line.text)
            kind = f"h{level}" if level else "li" if bullet else "p"
            block = [line.text[bullet.end() :] if bullet and kind == "li" else line.text]
        elif block[-1].endswith("-") and block[-1][-2:-1].isalpha() and line.text[:1].islower():
            block[-1:] = block[-1][:-1], line.text
        else:
            block += " ", line.text
    if block:
        yield f"<{kind}>{escape(''.join(block))}</{kind}>"


def _begins(before: str, text: str, kind: str, long: float) -> bool:
    """Tell whether a line begins a new block: after a header, as a list item, or where the last one ended early."""
    if kind.startswith("h"):
        return True
    return bool(_BULLET.match(text)) or (len(before) < long and before.endswith(_ENDS))


def _by_outline(lines: list[Line]) -> dict[int, int]:
    """Return the lines that the outline names, each with its level; a number before the title does not matter."""
    levels: dict[int, int] = {}
    for at, line in enumerate(lines):
        for count in range(1, 1 if at in levels or not line.outline else _HEADER_LINES + 1):
            text = "".join(one.text for one in lines[at : at + count])
            bare = re.sub(
                r"\A(?:(?:chapter|appendix|section)\s)?[\dA-Z]?[\d.]*[.:)]?\s+", "", text, flags=re.IGNORECASE
            )
            if level := line.outline.get(_letters(text)) or line.outline.get(_letters(bare)):
                levels |= {at: level, **dict.fromkeys(range(at + 1, at + count), _GOES_ON)}
                break
    return levels


def _by_size(lines: list[Line]) -> dict[int, int]:
    """Return the lines set larger than most of the text, each with its level, the largest being 1."""
    sizes = Counter[float]()
    for line in lines:
        sizes[line.size] += len(line.text)
    if not sizes:
        return {}
    body = sizes.most_common(1)[0][0]
    headers = {
        at: line.size
        for at, line in enumerate(lines)
        if line.size >= _LARGER * body and len(line.text) <= _HEADER_CHARS and any(map(str.isalpha, line.text))
    }
    levels = {size: min(level, 6) for level, size in enumerate(sorted(set(headers.values()), reverse=True), 1)}
    return {at: _GOES_ON if headers.get(at - 1) == size else levels[size] for at, size in headers.items()}


def _letters(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalpha())


@contextmanager
def _limits(most: int) -> Iterator[None]:
    """While it lasts, pypdf unpacks no part of a file to more than `most` bytes."""
    from pypdf import apply_configuration

    with apply_configuration(
        array_based_stream_maximum_output_length=most,
        lzw_maximum_output_length=most,
        run_length_maximum_output_length=most,
        zlib_maximum_output_length=most,
        brotli_maximum_output_length=most,
    ):
        yield


READER = Reader(read_pdf, packed_too(".pdf"), lot=32)
