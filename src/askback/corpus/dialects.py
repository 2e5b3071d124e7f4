"""Marks of Markdown's dialects that are no text: attributes in braces, the kind of an alert, fences around a note."""

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt

_PART = r"""(?:[#.][\w:.-]{1,80}|[\w:-]{1,40}=(?:"[^"{}\n]{0,200}"|'[^'{}\n]{0,200}'|[^\s"'{}]{1,200})|-)"""
_BRACES = rf"(?:\{{:[^{{}}\n]{{0,300}}\}}|\{{\s{{0,3}}{_PART}(?:\s{{1,3}}{_PART}){{0,10}}\s{{0,3}}\}})"
_AT_THE_END = re.compile(rf"(?:[ \t]#{{1,6}})?[ \t]{{0,10}}{_BRACES}\s{{0,10}}\Z")
_ALONE = re.compile(rf"[ \t]{{0,10}}{_BRACES}[ \t]{{0,10}}\Z")
_AT_THE_START = re.compile(_BRACES)
_ALERT = re.compile(r"\[![A-Za-z][\w -]{0,30}(?:\|[^\]\n]{0,60})?\][+-]?(?![(\[:])[ \t]{0,10}\n?")
_FENCE = re.compile(r"[ \t]{0,3}:{3,}[ \t]*+(?:\{[^{}\n]{0,200}\}|[\w-]{0,40})[ \t]*+(?P<title>[^\n]{0,200})\Z")
_AFTER = {"link_close", "image", "code_inline", "em_close", "strong_close", "html_inline"}
_LONGEST_LINE = 2000


def use_dialects(markdown: MarkdownIt) -> MarkdownIt:
    """Have a parser leave out what dialects add to CommonMark and it would take for text.

    Attributes (``{#id .class key=value}``, ``{: .class}``) at the end of a header, right behind a link, picture, code or
    emphasis, and on a line of their own; the first mark of a quotation that is an alert or callout (``[!NOTE]``); the
    lines of colons around a block (``::: warning``). Code keeps them.
    """
    markdown.core.ruler.before("inline", "dialects", _blocks)
    markdown.core.ruler.after("inline", "attributes", _spans)
    return markdown


def _blocks(state: Any) -> None:
    tokens = state.tokens
    for at, token in enumerate(tokens):
        around = tokens[at - 1].type if at and token.type == "inline" else ""
        if around == "heading_open" and len(token.content) <= _LONGEST_LINE:
            token.content = _AT_THE_END.sub("", token.content)
        elif around == "paragraph_open":
            if at > 1 and tokens[at - 2].type == "blockquote_open" and (alert := _ALERT.match(token.content)):
                token.content = token.content[alert.end() :]
            if "{" in token.content or ":::" in token.content:
                token.content = "\n".join(_lines(token.content.split("\n")))


def _lines(lines: Sequence[str]) -> list[str]:
    kept = []
    for line in lines:
        fence = _FENCE.match(line) if len(line) <= _LONGEST_LINE else None
        if fence:
            kept += [fence["title"]] if fence["title"] else []
        elif len(line) > _LONGEST_LINE or not _ALONE.match(line):
            kept.append(line)
    return kept


def _spans(state: Any) -> None:
    for token in state.tokens:
        before = ""
        for child in token.children or ():
            if before in _AFTER and child.type == "text" and (found := _AT_THE_START.match(child.content)):
                child.content = child.content[found.end() :]
            before = child.type
