"""HTML → the page's text as a flat list of blocks: headers, and paragraphs, lists, code and tables as Markdown.

selectolax (lexbor) parses, so the tree is the one a browser would build; it is then serialised and walked as a list of
tags. A list has no depth to overflow, and costs less than visiting tree nodes from Python.
"""

import re
from collections import Counter
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from askback.corpus.furniture import UNPARSED
from askback.corpus.tags import ACTIONS
from askback.corpus.walk import Block, Walk

MAX_DEPTH = 1000
"""Deepest nesting that is parsed in a page of many tags; a browser stops at 512. Parsing time grows with its square."""
MAX_TAGS = 500_000
"""Most tags of a page that are read, a few hundred bytes of memory each."""

_TOKEN = re.compile(r"<(?:(/?[a-zA-Z][^\s/>]*)([^>]*)(?:>|\Z)|!--.*?(?:-->|\Z))", re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_CONTROL_REFERENCE = re.compile(
    r"&#(?:[xX]0*(?:[01]?[\da-fA-F]|7[fF]|[89][\da-fA-F])(?![\da-fA-F])|0*(?:[0-2]?\d|3[01]|12[7-9]|1[345]\d)(?!\d))"
)
_UNSEEN = "\u00ad\u200b\u2060\ufeff"
_ANY_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_CLOSES_ITSELF = {
    *("p", "tr", "td", "th", "tbody", "thead", "tfoot", "option"),
    *("br", "hr", "img", "input", "meta", "link", "col", "wbr", "area", "source", "base", "embed", "param", "track"),
}
_ITEM_KINDS = {"li": "li", "dt": "dd", "dd": "dd"}
_LISTS = {"ul", "ol", "dl", "menu"}
_FORMATTING = re.compile(r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s>]", re.IGNORECASE)
_FEW_TAGS = 2000
_DRAWN = {
    *(
        "g",
        "path",
        "circle",
        "ellipse",
        "rect",
        "line",
        "polygon",
        "polyline",
        "use",
        "text",
        "tspan",
        "defs",
        "symbol",
    ),
    *("stop", "image", "animate", "mask", "marker", "filter", "pattern", "lineargradient", "radialgradient"),
    *("mspace", "mrow", "mfrac", "msup", "msub", "msubsup", "msqrt", "mtable", "mtr", "mtd", "mstyle", "semantics"),
}
_WORDS = {"title", "desc", "mi", "mo", "mn", "ms", "mtext"}
"""Elements of SVG and MathML; inside those of words, HTML holds again."""
_EMPTY = re.compile(r"""(?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/>""")


class TooDeep(ValueError):
    """A page whose elements are nested deeper than `MAX_DEPTH`."""


class TooMany(ValueError):
    """A page of more than `MAX_TAGS` tags, or that a parser would make into more."""


def read_blocks(html: str) -> list[Block]:
    """Return the blocks of a page, page furniture left out, and with it what no reader sees (soft hyphens, controls).

    Raises:
        TooDeep: its elements are nested deeper than `MAX_DEPTH`, which is looked at where there are over 10,000 tags, or
            over 2,000 with many formatting elements: less than that is soon parsed.
        TooMany: it has more than `MAX_TAGS` tags, or a parser would make so many.
    """
    html = _CONTROL.sub("", html)  # first, as they would hide tags: <\x01div>
    _check_size(html)
    tree = LexborHTMLParser(html.encode("utf-8", "replace"))
    if tree.body is None:
        return []
    tree.strip_tags(UNPARSED, recursive=True)
    text = tree.body.html or ""
    if text.count("<") > MAX_TAGS:
        raise TooMany(f"more than {MAX_TAGS} tags when parsed")
    if _CONTROL_REFERENCE.search(html):
        text = _CONTROL.sub("", text)
    if not text.isascii():
        for character in _UNSEEN:
            text = text.replace(character, "")
    # lexbor escapes < and > in text and attributes, so whatever looks like a tag is one.
    tokens: list[Any] = _TOKEN.split(text)
    walk = Walk(ACTIONS, tokens[1::3], tokens[2::3], tokens[3::3])
    walk.run(0, len(walk.tags))
    walk.boundary(0)
    return walk.blocks


def _check_size(html: str) -> None:
    """Refuse what would keep the parser busy for minutes or fill the memory; a page of few tags cannot."""
    tags = html.count("<")
    if tags > MAX_TAGS:
        raise TooMany(f"{tags} tags, at most {MAX_TAGS}")
    if tags > 10 * MAX_DEPTH or (tags > _FEW_TAGS and tags * len(_FORMATTING.findall(html)) > 2 * MAX_TAGS):
        _measure(html)


def _measure(html: str) -> None:
    """Follow the depth of nesting, and how often formatting elements are reopened, as a parser does in every block.

    An end tag counts only where its element is open, and an item ends the one before it only where both are of a kind:
    what a parser passes over must not make a page look flat. Either count may be too high for odd pages, by little.
    """
    opened: Counter[str] = Counter()
    formatting: list[tuple[str, str]] = []
    kinds = [""]
    depth = made = 0
    drawing = ""
    for match in _ANY_TAG.finditer(html):
        name = match[2].lower()
        if drawing == "svg" and (name in _DRAWN or name in _WORDS) and _EMPTY.match(html, match.end()):
            made += 1
            continue
        drawing = _drawing(drawing, bool(match[1]), name)
        if match[1]:
            if opened[name]:
                opened[name] -= 1
                depth -= 1
                last = next((at for at in reversed(range(len(formatting))) if formatting[at][0] == name), None)
                if last is not None:
                    del formatting[last]
                if name in _LISTS:
                    kinds.pop()
        elif name in _CLOSES_ITSELF:
            made += 1 + len(formatting)
        elif name in _ITEM_KINDS:
            made += 1 + len(formatting)
            depth += kinds[-1] not in ("", _ITEM_KINDS[name])
            kinds[-1] = _ITEM_KINDS[name]
        else:
            made += 1 + len(formatting)
            opened[name] += 1
            depth += 1
            if name in _LISTS:
                kinds.append("")
            if _FORMATTING.match(html, match.start()):
                same = (name, html[match.end() : html.find(">", match.end(), match.end() + 200)])
                if formatting.count(same) < 3:  # a parser reopens no more of those that are the same
                    formatting.append(same)
        if depth > MAX_DEPTH:
            raise TooDeep(f"elements are nested more than {MAX_DEPTH} deep")
        if made > MAX_TAGS:
            raise TooMany(f"more than {MAX_TAGS} elements when parsed")


def _drawing(inside: str, end: bool, name: str) -> str:
    """Return where a tag leads: "svg" into a drawing or formula, a name into its words, "" elsewhere.

    Only in a drawing does ``/>`` close an element. What is not known to belong there may end it, as any HTML element does.
    """
    if end:
        return "svg" if name == inside or (inside == "svg" and name in _DRAWN) else ""
    if name in ("svg", "math") or (inside == "svg" and name in _DRAWN):
        return "svg"
    return name if inside == "svg" and name in _WORDS else ""
