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
"""Deepest nesting of elements that is parsed; a browser stops at 512. Parsing time grows with its square."""
MAX_TAGS = 500_000
"""Most tags of a page that are read, a few hundred bytes of memory each."""

_TOKEN = re.compile(r"<(?:(/?[a-zA-Z][^\s/>]*)([^>]*)|!--.*?--)>", re.DOTALL)
_CONTROLS = bytes({*range(32), 127} - {9, 10, 12, 13})
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_HIGH_CONTROLS = re.compile(b"\xc2[\x80-\x9f]")  # in UTF-8
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


class TooDeep(ValueError):
    """A page whose elements are nested deeper than `MAX_DEPTH`."""


class TooMany(ValueError):
    """A page of more than `MAX_TAGS` tags, or that a parser would make into more."""


def read_blocks(html: str) -> list[Block]:
    """Return the blocks of a page, page furniture left out, and with it what no reader sees (soft hyphens, controls).

    Raises:
        TooDeep: its elements are nested deeper than `MAX_DEPTH`.
        TooMany: it has more than `MAX_TAGS` tags.
    """
    _check_size(html)
    data = html.encode("utf-8", "replace").translate(None, _CONTROLS)
    tree = LexborHTMLParser(data if html.isascii() else _HIGH_CONTROLS.sub(b"", data))
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
    for match in _ANY_TAG.finditer(html):
        name = match[2].lower()
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
