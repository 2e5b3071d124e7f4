"""A document → its sections: the text under each header, with the text of the headers below it (method.md 1.4)."""

import re
from collections import Counter
from dataclasses import dataclass, field

from askback.corpus.filters.headers import navigation_header
from askback.corpus.front_matter import without_front_matter
from askback.corpus.page import read_blocks
from askback.corpus.walk import Block
from askback.corpus.xml import to_html, without_code
from askback.records import Document, Markup
from askback.text.invisible import without_invisible

UNTITLED = 200
_SITE = re.compile(r" [|–—·»-] ")


@dataclass(slots=True)
class Section:
    """A header and what stands under it, up to the next header of its level or a higher one.

    `path` runs from the document's top header to this one's; it is empty for a text without headers and without a
    title. `lead` is the text before the first header below; `children` are the sections of the headers below.
    """

    path: list[str]
    level: int
    lead: list[Block] = field(default_factory=list)
    children: list["Section"] = field(default_factory=list)

    @property
    def header(self) -> str:
        """The section's own header."""
        return self.path[-1] if self.path else ""

    def text(self) -> str:
        """Return the section's text as Markdown: headers below it included, its own not.

        Sections under a header of navigation words ("Share", "Table of contents") are no part of the text around them.
        """
        parts = [self.lead_text()] if self.lead else []
        for child in self.children:
            if (below := child.text()) and not navigation_header(child.header, whole=True):
                parts.append(f"{'#' * child.level} {child.header}\n\n{below}" if child.header else below)
        return "\n\n".join(parts)

    def lead_text(self) -> str:
        """Return the text before the first header below."""
        first, *others = self.lead
        return "".join([first.text, *[block.glue + block.text for block in others]]) if others else first.text

    def linked(self) -> int:
        """Return how many characters of `text` stood inside links on the page; those in headers are not counted."""
        below = sum(child.linked() for child in self.children if not navigation_header(child.header, whole=True))
        return below + self.lead_linked()

    def lead_linked(self) -> int:
        """Return how many characters of `lead_text` stood inside links."""
        return sum(block.linked for block in self.lead)


def segment(document: Document, left_out: Counter[str] | None = None) -> list[Section]:
    """Return the top sections of a document, each with the sections below it; headers without text are left out.

    Args:
        document: what to segment.
        left_out: takes how many characters of it were left out as no part of the text, by rule.

    Text above the first header is under no header, and no section. A document that has no headers is one section, with
    the document's title as its header if it has one.

    Raises:
        TooDeep: the document is nested too deeply to be parsed.
        TooMany: it has too many tags.
        Exception: docutils or markdown-it fails on it; both have bugs that odd documents find.
    """
    blocks = blocks_of(document, left_out)
    if not any(block.level for block in blocks):
        title = " ".join(without_invisible(document.title)[0].split())
        return [Section([title] if title else [], 0, blocks)] if blocks else []
    return _tree(with_text(blocks))


def blocks_of(document: Document, left_out: Counter[str] | None = None) -> list[Block]:
    """Return the headers and texts of a document, in order; raises as `segment` does."""
    if document.markup == "text":
        return _paragraphs(without_front_matter(document.text, fenced=True), left_out)
    page = document.markup in ("html", "xhtml")
    blocks = read_blocks(_html(document.text, document.markup), left_out, main=page)
    return _titled(blocks, document.title) if page else blocks


def _titled(blocks: list[Block], title: str) -> list[Block]:
    """Put a page's title, without the site's name, above `UNTITLED` characters or more before the first header."""
    above = next((at for at, block in enumerate(blocks) if block.level), len(blocks))
    parts = _SITE.split(" ".join(without_invisible(title)[0].split()))
    if above == len(blocks) or sum(len(block.text) for block in blocks[:above]) < UNTITLED or not parts[0]:
        return blocks
    return [Block(1, max(parts, key=len)), *blocks]


def _html(text: str, markup: Markup) -> str:
    text = without_front_matter(text, fenced=True) if markup in ("html", "rst") else text
    if markup == "html":
        return without_code(text)
    if markup == "xhtml":
        return to_html(text)
    from askback.corpus.markup import from_markdown, from_rst  # docutils and markdown-it take long to load

    return from_markdown(text) if markup == "markdown" else from_rst(text)


def _paragraphs(text: str, left_out: Counter[str] | None) -> list[Block]:
    """Return the paragraphs of plain text; line breaks in them stay, since a list or a poem may depend on them."""
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "", re.sub("\r\n?", "\n", text))
    text, gone = without_invisible(text)
    if left_out is not None and gone:
        left_out["invisible"] += gone
    lines = "\n".join(line.rstrip() for line in text.encode("utf-8", "replace").decode().split("\n"))
    return [Block(0, paragraph) for paragraph in re.split(r"\n{2,}", lines.strip("\n")) if paragraph]


def with_text(blocks: list[Block]) -> list[Block]:
    """Leave out headers that no text follows, as a gallery or a list of links leaves when it goes."""
    kept: list[Block] = []
    next_level = 1
    for block in reversed(blocks):
        if block.level and next_level and block.level >= next_level:
            continue
        kept.append(block)
        next_level = block.level
    return kept[::-1]


def _tree(blocks: list[Block]) -> list[Section]:
    top: list[Section] = []
    open_now: list[Section] = []
    for block in blocks:
        if not block.level:
            if open_now:
                open_now[-1].lead.append(block)
            continue
        while open_now and open_now[-1].level >= block.level:
            open_now.pop()
        path = [*open_now[-1].path, block.text] if open_now else [block.text]
        section = Section(path, block.level)
        (open_now[-1].children if open_now else top).append(section)
        open_now.append(section)
    return top
