"""Real pages: their text survives segmenting, and what stands around it does not get in.

The sample's pages hold their text in `main`; everything around that was put there and holds the word "chromemark". The
test finds the text by its own means, Python's HTML parser, which shares nothing with the segmenter.
"""

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

from askback.corpus import cut
from askback.recipe import Corpus
from askback.records import Document

HEADERS = ("h1", "h2", "h3", "h4", "h5", "h6")
NO_TEXT = ("script", "style", "math", "svg", "form", "button", "select", "iframe", "nav", "aside")


class Body(HTMLParser):
    """The headers in `main`, in order: level, and the text that follows each up to the next."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[tuple[int, list[str]]] = []
        self._in_main, self._in_header, self._passed_over = False, False, 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._in_main |= tag == "main"
        self._passed_over += tag in NO_TEXT
        if self._in_main and tag in HEADERS:
            self.parts.append((int(tag[1]), []))
            self._in_header = True

    def handle_endtag(self, tag: str) -> None:
        self._in_main &= tag != "main"
        self._passed_over -= tag in NO_TEXT
        self._in_header &= tag not in HEADERS

    def handle_data(self, data: str) -> None:
        if self._in_main and not self._in_header and not self._passed_over and self.parts:
            self.parts[-1][1].append(data)

    def sections(self) -> Iterator[str]:
        """Yield the text under each header that has 600 to 3,000 characters, with that of the headers below it; what is
        within one is not yielded again."""
        at = 0
        while at < len(self.parts):
            end = at + 1
            while end < len(self.parts) and self.parts[end][0] > self.parts[at][0]:
                end += 1
            text = " ".join("".join(piece for _, pieces in self.parts[at:end] for piece in [*pieces, "\n"]).split())
            if 600 <= len(text) <= 3000:
                yield text
            at = end if 600 <= len(text) <= 3000 else at + 1


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text))


def survival(pages: list[Document]) -> tuple[int, int]:
    """Return how many characters of words the sections of some pages have, and how many of them are in a segment."""
    options = Corpus.model_validate({"sources": [{"format": "installed-docs"}], "preset": "none"})
    total = survived = 0
    for page in pages:
        there = words("\n".join(segment.text for segment in cut([page], options).kept))
        for section in Body(page.text).sections():
            total += len(section)
            wanted = words(section)
            length = sum(len(word) * count for word, count in wanted.items())
            found = sum(len(word) * count for word, count in (wanted & there).items())
            survived += round(len(section) * found / max(length, 1))
            there -= wanted
    return total, survived


def leaks(pages: list[Document], options: Corpus) -> tuple[int, int]:
    """Return how many segments are kept, and in how many of them stands what was put around the text."""
    kept = cut(pages, options).kept
    return len(kept), sum("chromemark" in segment.text for segment in kept)


def test_real_pages_leak_no_furniture(web_pages: list[Document], options: Corpus) -> None:
    kept, leaked = leaks(web_pages, options)
    assert kept > len(web_pages)
    assert leaked <= kept / 1000


def test_what_stands_under_headers_survives(web_pages: list[Document]) -> None:
    total, survived = survival(web_pages)
    assert total > 300_000
    assert survived >= 0.97 * total
