"""HTML → the page's text as a flat list of blocks: headers, and paragraphs, lists, code and tables as Markdown.

selectolax (lexbor) parses, so the tree is the one a browser would build; it is then serialised and walked as a list of
tags. A list has no depth to overflow, and costs less than visiting tree nodes from Python.
"""

import re
from collections import Counter
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from askback.corpus.block_rules import text_blocks
from askback.corpus.boilerplate import AROUND, UNPARSED
from askback.corpus.bounds import check_attributes
from askback.corpus.left_out import LEAST
from askback.corpus.main_part import main_part
from askback.corpus.tags import ACTIONS
from askback.corpus.walk import Block, Walk
from askback.text.invisible import some_invisible, without_invisible

MAX_DEPTH = 1000
"""Deepest nesting that is parsed in a page of many tags; a browser stops at 512. Parsing time grows with its square."""
MAX_TAGS = 500_000
"""Most tags of a page that are read, a few hundred bytes of memory each."""

_TOKEN = re.compile(r"<(?:(/?[a-zA-Z][^\s/>]*)([^>]*)(?:>|\Z)|!--.*?(?:-->|\Z))", re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_CONTROL_BYTES = bytes([*range(9), 11, *range(14, 32), 127])
_HIGH_CONTROL = re.compile(b"\xc2[\x80-\x9f]")
_CONTROL_REFERENCE = re.compile(
    r"&#(?:[xX]0*(?:[01]?[\da-fA-F]|7[fF]|[89][\da-fA-F])(?![\da-fA-F])|0*(?:[0-2]?\d|3[01]|12[7-9]|1[345]\d)(?!\d))"
)
_ANY_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_CLOSES_ITSELF = frozenset(
    "p tr td th tbody thead tfoot option br hr img input meta link col wbr area source base embed param track".split()
)
_ITEM_KINDS = {"li": "li", "dt": "dd", "dd": "dd"}
_LISTS = {"ul", "ol", "dl", "menu"}
_FORMATTING = re.compile(r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\s>]", re.IGNORECASE)
_FEW_TAGS = 2000
_DRAWN = frozenset(
    (
        "g path circle ellipse rect line polygon polyline use text tspan defs symbol stop image animate mask marker "
        "filter pattern lineargradient radialgradient mspace mrow mfrac msup msub msubsup msqrt mtable mtr mtd mstyle "
        "semantics"
    ).split()
)
_WORDS = {"title", "desc", "mi", "mo", "mn", "ms", "mtext"}
"""Elements of SVG and MathML; inside those of words, HTML holds again."""
_EMPTY = re.compile(r"""(?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*\s*/>""")


class TooDeep(ValueError):
    """A page whose elements are nested deeper than `MAX_DEPTH`."""


class TooMany(ValueError):
    """A page of more than `MAX_TAGS` tags, or that a parser would make into more."""


def read_blocks(html: str, left_out: Counter[str] | None = None, main: bool = True) -> list[Block]:
    """Return the blocks of a page, boilerplate left out, and with it what no reader sees.

    Args:
        html: the page.
        main: look for the main part of the page, and take the text alone of that (main_part.py, block_rules.py).
        left_out: takes how many characters were left out, by rule.

    Raises:
        TooDeep: its elements are nested deeper than `MAX_DEPTH`, which is looked at where there are over 10,000 tags, or
            over 2,000 with many formatting elements: less than that is soon parsed.
        TooMany: it has more than `MAX_TAGS` tags, or a parser would make more.
        TooMuch: a tag has too many attributes.
    """
    html = _without_controls(html)  # first, as they would hide tags: <\x01div>
    _check_size(html)
    tree = _parsed(html)
    if tree is None:
        return []
    around = Counter[str]()
    for node in tree.css(_AROUND):
        around[str(node.tag)] += len(node.text())
    tree.strip_tags(AROUND, recursive=True)
    walk = _walked(tree, html)
    page = 2 * walk.left_out.half
    if around and max(around.values()) > max(page, LEAST) and _holds_the_page(html, page):
        around.clear()
        walk = _walked(_parsed(html), html)
    blocks = walk.blocks
    if main:
        blocks = text_blocks(main_part(walk, walk.left_out.characters), walk.left_out.characters)
    if left_out is not None:
        left_out += around + walk.left_out.characters
    return _visible(blocks, left_out)


def _without_controls(html: str) -> str:
    """Leave out controls; most pages have none, which is seen ten times faster in bytes."""
    data = html.encode("utf-8", "replace")
    clean = len(data) == len(data.translate(None, _CONTROL_BYTES)) and not _HIGH_CONTROL.search(data)
    return html if clean else _CONTROL.sub("", html)


def _parsed(html: str) -> Any:
    """Return the tree of a page without what is no markup of it, None if it has no body."""
    data = html.encode("utf-8", "replace")
    if b"emplate" in data or b"EMPLATE" in data:
        data = _with_shadow_roots(html).encode("utf-8", "replace")
    tree = LexborHTMLParser(data)
    tree.strip_tags(UNPARSED, recursive=True)
    return tree if tree.body is not None else None


def _holds_the_page(html: str, page: float) -> bool:
    """Tell whether navigation or a footer has more text outside of links than all else on the page has."""

    def length(node: Any) -> int:
        return len(" ".join(node.text().split()))

    return any(length(node) - sum(map(length, node.css("a"))) > page for node in _parsed(html).css(_AROUND))


def _walked(tree: Any, html: str) -> Walk:
    text = tree.body.html or ""
    if text.count("<") > MAX_TAGS:
        raise TooMany(f"more than {MAX_TAGS} tags when parsed")
    if _CONTROL_REFERENCE.search(html):
        text = _CONTROL.sub("", text)
    # lexbor escapes < and > in text and attributes, so whatever looks like a tag is one.
    tokens: list[Any] = _TOKEN.split(text)
    walk = _walk(tokens, show_hidden=False)
    left_out = walk.left_out
    if left_out.hidden > LEAST and 2 * left_out.hidden > left_out.words:  # a dialog is open, or a script unfolds all
        walk = _walk(tokens, show_hidden=True)
    return walk


def _walk(tokens: list[Any], show_hidden: bool) -> Walk:
    walk = Walk(ACTIONS, tokens[1::3], tokens[2::3], tokens[3::3], show_hidden)
    walk.run(0, len(walk.tags))
    walk.boundary(0)
    return walk


def _visible(blocks: list[Block], left_out: Counter[str] | None) -> list[Block]:
    """Leave invisible characters out of blocks, and the blocks that held nothing else."""
    if not some_invisible("\n".join([block.text for block in blocks])):
        return blocks
    made = []
    for block in blocks:
        text, gone = without_invisible(block.text)
        if gone and left_out is not None:
            left_out["invisible"] += gone
        if text.strip() or not gone:
            made.append(block._replace(text=text.strip()) if gone else block)
    return made


_AROUND = ", ".join(AROUND)
_TEMPLATE = re.compile(r"<(/?)template\b([^<>]{0,1000}>)", re.IGNORECASE)
_SHADOW = re.compile(r"\sshadowroot(?:mode)?\s*=", re.IGNORECASE)


def _with_shadow_roots(html: str) -> str:
    """Make a part of the page of what browsers show as one: a template that is a shadow root."""
    opened: list[bool] = []

    def part(found: re.Match[str]) -> str:
        if found[1]:
            return "</div>" if opened and opened.pop() else found[0]
        opened.append(bool(_SHADOW.search(found[2])))
        return f"<div{found[2]}" if opened[-1] else found[0]

    return _TEMPLATE.sub(part, html)


def _check_size(html: str) -> None:
    """Refuse what would keep the parser busy for minutes or fill the memory; a page of few tags cannot."""
    tags = html.count("<")
    if tags > MAX_TAGS:
        raise TooMany(f"{tags} tags, at most {MAX_TAGS}")
    check_attributes(html)
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
