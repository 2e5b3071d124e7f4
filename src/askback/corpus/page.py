"""HTML → the page's text as a flat list of blocks: headers, and paragraphs, lists, code and tables as Markdown.

selectolax (lexbor) parses, so the tree is the one a browser would build; it is then serialised and walked as a list of
tags. A list has no depth to overflow, and costs less than visiting tree nodes from Python.
"""

import re
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from askback.corpus.furniture import UNPARSED
from askback.corpus.tags import ACTIONS
from askback.corpus.walk import Block, Walk

MAX_DEPTH = 1000
"""Deepest nesting of elements that is parsed; a browser stops at 512. Parsing time grows with its square."""

_TOKEN = re.compile(r"<(?:(/?[a-zA-Z][^\s/>]*)([^>]*)|!--.*?--)>", re.DOTALL)
_CONTROLS = bytes({*range(32), 127} - {9, 10, 12, 13})
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_HIGH_CONTROLS = re.compile(b"\xc2[\x80-\x9f]")  # in UTF-8
_CONTROL_REFERENCE = re.compile(
    r"&#(?:[xX]0*(?:[01]?[\da-fA-F]|7[fF]|[89][\da-fA-F])(?![\da-fA-F])|0*(?:[0-2]?\d|3[01]|12[7-9]|1[345]\d)(?!\d))"
)
_UNSEEN = "\u00ad\u200b\u2060\ufeff"
_ANY_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_CLOSES_ITSELF = re.compile(r"(?i:p|li|dt|dd|tr|td|th|option|br|hr|img|input|meta|link|col|wbr|area|source)")


class TooDeep(ValueError):
    """A page whose elements are nested deeper than `MAX_DEPTH`."""


def read_blocks(html: str) -> list[Block]:
    """Return the blocks of a page, page furniture left out, and with it what no reader sees (soft hyphens, controls).

    Raises:
        TooDeep: its elements are nested deeper than `MAX_DEPTH`.
    """
    _check_depth(html)
    data = html.encode("utf-8", "replace").translate(None, _CONTROLS)
    tree = LexborHTMLParser(data if html.isascii() else _HIGH_CONTROLS.sub(b"", data))
    if tree.body is None:
        return []
    tree.strip_tags(UNPARSED, recursive=True)
    text = tree.body.html or ""
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


def _check_depth(html: str) -> None:
    """Refuse what would keep the parser busy for minutes; a page of few tags cannot, and is not measured."""
    if html.count("<") <= 10 * MAX_DEPTH:
        return
    depth = 0
    for match in _ANY_TAG.finditer(html):
        if not _CLOSES_ITSELF.fullmatch(match[2]):
            depth += -1 if match[1] else 1
            if depth > MAX_DEPTH:
                raise TooDeep(f"elements are nested more than {MAX_DEPTH} deep")
