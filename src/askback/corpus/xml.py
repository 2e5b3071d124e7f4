"""XHTML → HTML, and program code in pages: what XML and servers understand and a parser of HTML does not."""

import re
from html import escape
from pathlib import PurePosixPath

_SUFFIXES = {".xhtml", ".xht", ".xml"}
_TYPES = {"application/xhtml+xml", "application/xml", "text/xml"}
_NAMESPACES = {
    "http://www.w3.org/1999/xhtml": "",
    "http://www.w3.org/1998/Math/MathML": "",
    "http://www.w3.org/2000/svg": "",
}
_START_CHARS, _HEAD_CHARS = 1200, 4000
_NAMESPACE = "http://www.w3.org/1999/xhtml"
_DECLARED = re.compile(rf"""\sxmlns(?::\w{{1,30}})?\s{{0,5}}=\s{{0,5}}["']{_NAMESPACE}""")
_VOID = r"(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)"
_RAW = r"(?:script|style|textarea|title|iframe|xmp|noembed|noframes)"
_ATTRIBUTES = r"""(?:\s++[\w:.-]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))*+\s*+"""
_BOTH = rf"\?|%|!--|(?P<raw>{_RAW})\b[^<>]*+>"
_CODE = re.compile("<[?%]")
_IN_HTML = re.compile(rf"<(?:{_BOTH})", re.IGNORECASE)
_IN_XHTML = re.compile(
    rf"<(?:(?P<empty>(?!{_VOID}\b)(?P<name>[a-z][\w:.-]*+){_ATTRIBUTES})/>|!\[CDATA\[|/br\s*+>|{_BOTH})", re.IGNORECASE
)
_SUBSET = re.compile(r"(<!DOCTYPE\s[^<>\[\]]{0,500})\[([^\[\]]{0,20000})\](\s*>)", re.IGNORECASE)
_ENTITY = re.compile(
    r"""<!ENTITY\s+([\w.-]{1,50})\s+(?:"((?:[^"<>%&]|&\#\w{1,8};){0,500})"|'((?:[^'<>%&]|&\#\w{1,8};){0,500})')\s*>"""
)
_MOST_ENTITIES = 10_000
_PREFIX = re.compile(r"""xmlns:([\w-]{1,30})\s*=\s*["'](http://www\.w3\.org/[\w/]{1,30})["']""")
_LONGEST_CODE = 100_000


def is_xhtml(text: str, name: str = "", media: str = "") -> bool:
    """Tell whether a page is XHTML: by its media type, its name, or its own declaration, doctype or namespace."""
    if media in _TYPES or PurePosixPath(name).suffix.lower() in _SUFFIXES:
        return True
    start = text[:_START_CHARS].lower().lstrip("\ufeff \t\r\n")
    if start.startswith("<?xml") or '"-//w3c//dtd xhtml' in start or "'-//w3c//dtd xhtml" in start:
        return True
    return _NAMESPACE in start and bool(_DECLARED.search(start))


def to_html(text: str) -> str:
    """Return XHTML as HTML that a parser reads alike, be it well-formed or not.

    ``<div/>`` is an empty element here, and in HTML the start of one that swallows what follows; CDATA is text; the
    doctype may declare entities; elements may have a prefix. What is no XHTML stays as it is.
    """
    text = _without_subset(text)
    for prefix, namespace in dict(_PREFIX.findall(text[:_HEAD_CHARS])).items():
        if namespace in _NAMESPACES:
            text = re.sub(rf"<(/?){re.escape(prefix)}:(?=[a-zA-Z])", r"<\1", text)
    return _rewritten(text, _IN_XHTML)


def without_code(text: str) -> str:
    """Return HTML without the code of programs: ``<?php … ?>``, ``<% … %>``; a parser would end it at the first ``>``."""
    return _rewritten(text, _IN_HTML) if _CODE.search(text) else text


def _rewritten(text: str, pattern: re.Pattern[str]) -> str:
    ends = _Ends(text)
    parts: list[str] = []
    at = 0
    while found := pattern.search(text, at):
        parts.append(text[at : found.start()])
        start, at = found.span()
        groups = found.groupdict()
        mark = found[0].lower()
        if groups.get("empty") and not _goes_on(text, found["name"], at):
            parts.append(f"<{found['empty']}></{found['name']}>")
        elif groups.get("empty"):
            parts.append(text[start:at])
        elif mark == "<![cdata[":
            end = ends.find("]]>", at)
            parts.append(escape(text[at : max(end, at)], quote=False))
            at = end + 3 if end >= 0 else at
        elif mark in ("<?", "<%"):
            at = _end_of_code(text, start, ends, whole=pattern is _IN_XHTML)
            parts.append(text[start:at] if at == start + 2 else "")
        elif not mark.startswith("</br"):
            end = ends.find("-->" if mark == "<!--" else f"</{found['raw'].lower()}", at)
            at = end if end >= 0 else at
            parts.append(text[start:at])
    return "".join([*parts, text[at:]]) if parts else text


def _goes_on(text: str, name: str, at: int) -> bool:
    """Tell whether an element of raw text that ends in ``/>`` has an end tag all the same, as no XHTML would."""
    if not re.fullmatch(_RAW, name, re.IGNORECASE):
        return False
    following = text.find(f"<{name}", at)
    return text.find(f"</{name}", at, following if following >= 0 else len(text)) >= 0


class _Ends:
    """Finds marks in a text; one that was looked for in vain is not looked for again, so that time stays linear."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._gone: set[str] = set()

    def find(self, mark: str, start: int) -> int:
        """Return where a mark comes next, be its letters large or small, -1 if nowhere."""
        if mark in self._gone:
            return -1
        found = re.compile(re.escape(mark), re.IGNORECASE).search(self._text, start) if mark[:2] == "</" else None
        end = found.start() if found else -1 if mark[:2] == "</" else self._text.find(mark, start)
        if end < 0:
            self._gone.add(mark)
        return end


def _end_of_code(text: str, start: int, ends: _Ends, whole: bool) -> int:
    """Return where code ends: at its mark, at the end of the file for PHP (which may leave its mark out there), else
    behind the two characters it begins with, which a parser then reads in its own way. `whole`: as XML has it."""
    code = text[start : start + 5].lower()
    if text[start + 1] == "%":
        end, other = ends.find("%>", start), text.find("<%", start + 2, start + _LONGEST_CODE)
        return end + 2 if start < end < start + _LONGEST_CODE and not start < other < end else start + 2
    if not (whole or code == "<?php" or code[2:3] in "= \n\t"):
        return start + 2
    end = ends.find("?>", start)
    if 0 <= end < start + _LONGEST_CODE:
        return end + 2
    return len(text) if code == "<?php" and end < 0 and 2 * start > len(text) else start + 2


def _without_subset(text: str) -> str:
    """Take declarations out of the doctype, and put in what its entities stand for; an entity of entities stays."""
    found = _SUBSET.search(text, 0, 2 * _HEAD_CHARS)
    if not found:
        return text
    values = {name: a or b for name, a, b in _ENTITY.findall(found[2])}
    text = text[: found.start()] + found[1] + found[3] + text[found.end() :]
    for name, value in values.items():
        if text.count(f"&{name};") <= _MOST_ENTITIES:
            text = text.replace(f"&{name};", value)
    return text
