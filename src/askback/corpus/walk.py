"""One pass over the tags of a page, from which come its blocks."""

import re
from collections.abc import Callable
from typing import NamedTuple

from askback.corpus.boilerplate import mark, note
from askback.corpus.inline import BREAK, Line, one_line
from askback.corpus.layout import Container, Table, fence, glue, set_lines
from askback.corpus.left_out import LeftOut
from askback.corpus.mathml import linear

_LISTS = {"ul", "ol", "dl"}
_BLOCKS_IN_CELLS = {"table", *_LISTS, "pre", "blockquote", "form", *(f"h{level}" for level in range(1, 7))}


class Block(NamedTuple):
    """A header (level 1 to 6) or a piece of text (level 0), and what separates it from the block before.

    `linked` of its characters stood inside links. It ended at the page's tag number `at` (-1: no page was walked).
    """

    level: int
    text: str
    glue: str = "\n\n"
    linked: int = 0
    at: int = -1


class Walk:
    """Reads tokens into `blocks`: each tag (None for a comment) with its attributes and the text that follows it.

    An action is called with the index of its tag, and may return the index of the tag to go on from.
    """

    MAX_CONTAINERS = 12  # deeper lists are not indented further

    def __init__(
        self,
        actions: dict[str | None, "Action"],
        tags: list[str | None],
        attributes: list[str | None],
        texts: list[str],
        show_hidden: bool = False,
    ) -> None:
        self.actions = actions
        self.left_out = LeftOut(tags, attributes, texts, show_hidden)
        self.close_of = self.left_out.close_of
        self.tags = tags
        self.attributes = attributes
        self.texts = texts
        self.blocks: list[Block] = []
        self.line = Line()
        self.at = 0  # number of the tag in hand
        self.heading = 0  # level of the header being read
        self.inside = 0  # main, article and section elements open
        self.containers: list[Container] = []
        self.hidden_containers = 0
        self.last: list[Container] = []  # containers of the last block
        self.table: Table | None = None

    def run(self, start: int, end: int) -> None:
        """Read the tags from `start` to before `end`."""
        tags, attributes, texts, pieces = self.tags, self.attributes, self.texts, self.line.pieces
        action_of = self.actions.get
        index = start
        while index < end:
            self.at = index
            given = attributes[index]
            if given and (rule := mark(tags[index], given)) and (jump := self.marked(index, rule)):
                index = jump
            elif action := action_of(tags[index]):
                if action is not BOUNDARY:
                    index = action(self, index) or index
                elif pieces:
                    self.boundary(index)
            text = texts[index]
            if text and (pieces or not text.isspace()):
                pieces.append(text)
            index += 1

    def marked(self, index: int, rule: str) -> int | None:
        """Leave out an element that is marked as hidden or boilerplate; read one that is marked as a header."""
        if rule == "role" and self.heading:  # docutils links a header back to the table of contents
            return None
        end = self.left_out.marked(index, rule)
        given = self.attributes[index] or ""
        if end is not None or 'role="heading"' not in given or self.heading or self.tags[index] in HEADERS:
            return end
        level = re.search(r'aria-level="(\d{1,3})"', given)
        return self.read_header(index, min(max(int(level[1]), 1), 6) if level else 2)

    # What is left out, by its tag

    def skip(self, index: int) -> int:
        """Leave out an element, however large."""
        return self.close_of(index)

    def skip_instead(self, index: int) -> int | None:
        """Leave out what is shown instead of something else, unless the page stands in it."""
        return self.left_out.leave(index, str(self.tags[index]), sure=True)

    def skip_button(self, index: int) -> int | None:
        """Leave out a button, unless it is in a header: an accordion's headers are buttons."""
        return None if self.heading else self.left_out.leave(index, str(self.tags[index]), sure=True)

    def skip_form(self, index: int) -> int | None:
        """Leave out a form, unless the page stands in it, as some sites have it."""
        self.boundary(index)
        return self.left_out.leave(index, str(self.tags[index]))

    def skip_caption(self, index: int) -> int | None:
        """Leave out the caption of a picture, unless the text stands in captions."""
        self.boundary(index)
        return self.left_out.named(index, "about word")

    def skip_around(self, index: int) -> int | None:
        """Leave out navigation or a footer, unless the page stands in it."""
        self.boundary(index)
        return self.left_out.leave(index, str(self.tags[index]), sure=True)

    def skip_aside(self, index: int) -> int | None:
        """Leave out an aside that is not a note to the text."""
        self.boundary(index)
        return None if note(self.attributes[index] or "") else self.left_out.leave(index, "aside", sure=True)

    def skip_page_header(self, index: int) -> int | None:
        """Leave out what stands in the header of the page, but for an h1; the header of an article stays."""
        self.boundary(index)
        end = None if self.inside or self.heading else self.left_out.leave(index, "header")
        if end is None:
            return None
        if "h1" in self.tags[index:end]:
            self.read_header(self.tags.index("h1", index), 1)
        return end

    # Blocks

    def boundary(self, index: int) -> None:
        """End the paragraph in hand. In a header or a cell, blocks are no more than words apart."""
        line = self.line
        if self.heading or self.table is not None:
            line.pieces.append(" ")
            return
        if not line.pieces:
            return
        text = line.take()
        if BREAK not in text:
            if words := one_line(text):
                if self.containers:
                    self.add([words])
                else:
                    self.blocks.append(Block(0, words, linked=line.take_linked(), at=self.at))
                    self.last = []
            return
        lines = "\n".join(one_line(part) for part in text.split(BREAK))
        for paragraph in re.split(r"\n{2,}", lines.strip("\n")):
            if paragraph:
                self.add(paragraph.split("\n"))

    def add(self, lines: list[str]) -> None:
        """Add a block of text."""
        containers = self.containers
        if not containers:
            self.blocks.append(Block(0, "\n".join(lines), linked=self.line.take_linked(), at=self.at))
            self.last = []
            return
        separator = glue(self.last, containers)
        self.blocks.append(Block(0, set_lines(lines, containers), separator, self.line.take_linked(), self.at))
        self.last = containers.copy()

    def enter(self, index: int) -> None:
        """Begin the main part, an article or a section."""
        self.inside += 1
        self.boundary(index)

    def leave(self, index: int) -> None:
        """End the main part, an article or a section."""
        self.inside -= 1
        self.boundary(index)

    def header(self, index: int) -> int | None:
        """Read a header element."""
        return None if self.heading else self.read_header(index, int(str(self.tags[index])[1]))

    def read_header(self, index: int, level: int) -> int:
        """Add a header. Lists and quotations around it lose their marks: what follows is a section of its own."""
        self.table = None
        self.boundary(index)
        self.heading, end = level, self.close_of(index)
        self.line.pieces.append(self.texts[index])
        self.run(index + 1, end)
        self.heading = 0
        words = self.line.take_words().rstrip("¶🔗 ")
        self.blocks.append(Block(level, words, linked=self.line.take_linked(), at=index))
        self.last = []
        for container in self.containers:
            container.silence()
        return end

    def open_container(self, container: Container) -> None:
        """Begin a list, item, quotation or definition."""
        self.boundary(0)
        if len(self.containers) < self.MAX_CONTAINERS:
            self.containers.append(container)
        else:
            self.hidden_containers += 1

    def close_container(self, index: int) -> None:
        """End the innermost of them."""
        self.boundary(index)
        if self.hidden_containers:
            self.hidden_containers -= 1
        elif self.containers:
            self.containers.pop()

    def open_list(self, index: int) -> None:
        """Begin a list; an ordered one counts from its `start`."""
        start = re.search(r'\sstart="(\d{1,6})"', self.attributes[index] or "")
        self.open_container(Container(str(self.tags[index]), number=int(start[1]) - 1 if start else 0))

    def open_item(self, index: int) -> None:
        """Begin a list item."""
        parent = self.containers[-1] if self.containers else None
        mark = "- "
        if parent is not None and parent.kind == "ol":
            parent.number += 1
            mark = f"{parent.number}. "
        self.open_container(Container("li", mark, " " * len(mark), pending=True))

    def code_block(self, index: int) -> int | None:
        """Add preformatted text as it stands."""
        if self.heading or self.table is not None:
            return None
        self.boundary(index)
        end, at, parts = self.close_of(index), index, []
        while at < end:
            tag, given = self.tags[at], self.attributes[at]
            parts.append("\n" if tag == "br" else "")
            if at > index and tag and (tag == "button" or (given and mark(tag, given) not in ("", "heading"))):
                at = min(self.close_of(at), end)
            parts.append(self.texts[at] if at < end else "")
            at += 1
        self.line.pieces.append("".join(parts))
        code = self.line.take().replace("\r", "").strip("\n").rstrip()
        if code.strip():
            around = " ".join(given or "" for given in self.attributes[max(index - 2, 0) : index + 2])
            self.add(fence(code, around))
        return end

    # Tables

    def open_table(self, index: int) -> None:
        """Read a table as data when its cells hold no blocks (but lists, if it has header cells); else it only lays out the
        page."""
        self.boundary(index)
        if self.heading or self.table is not None:
            return
        try:
            inside = self.tags[index + 1 : self.tags.index("/table", index)]
        except ValueError:
            return
        blocks = _BLOCKS_IN_CELLS - _LISTS if "th" in inside else _BLOCKS_IN_CELLS
        if inside.count("tr") >= 2 and blocks.isdisjoint(inside):
            self.table = Table()

    def open_row(self, index: int) -> None:
        """Begin a row."""
        self.boundary(index)
        if self.table is not None:
            self.table.rows.append([])

    def open_cell(self, index: int) -> None:
        """Begin a cell."""
        if self.table is None:
            self.boundary(index)
        else:
            self.line.take()

    def close_cell(self, index: int) -> None:
        """End a cell."""
        if self.table is None:
            self.boundary(index)
        else:
            self.table.add(self.line.take_words())

    def close_caption(self, index: int) -> None:
        """Add the caption as a paragraph above its table."""
        table, self.table = self.table, None
        self.boundary(index)
        self.table = table

    def close_table(self, index: int) -> None:
        """End a table."""
        table, self.table = self.table, None
        if table is None:
            self.boundary(index)
            return
        self.line.take()
        for lines in table.blocks():
            self.add(lines)

    # Inline

    def open_inline(self, index: int) -> None:
        """Begin an element whose text is treated as a whole."""
        tag = str(self.tags[index])
        literal = tag != "span" or "docutils literal" in (self.attributes[index] or "")
        self.line.open("" if self.heading or not literal else tag)

    def close_link(self, index: int) -> None:
        """End a link."""
        self.line.close_link()

    def formula(self, index: int) -> int:
        """Write a formula out in a line."""
        end = self.close_of(index)
        formula = linear(self.tags[index:end], self.attributes[index:end], self.texts[index:end])
        self.line.pieces.append(formula)
        return end


Action = Callable[[Walk, int], int | None]

HEADERS = {f"h{level}" for level in range(1, 7)}

BOUNDARY: Action = Walk.boundary
