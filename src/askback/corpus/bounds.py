"""Bounds that a document keeps before it is parsed, so that no parser is busy for minutes or fills the memory.

Each bound is far above what people write, and counts what is known to cost more than its share. What is not known is left
to the clock (apart.py).
"""

import re
from collections.abc import Iterator

MAX_ATTRIBUTES = 10_000
"""Of a tag; a parser compares each with every other. Pages of newspapers with a quotation mark too few have 7,000."""
MAX_EXPANSIONS = 10_000
"""Substitutions in reStructuredText that stand in other substitutions, once all are put in."""
MAX_EXPANDED = 2_000_000
"""Characters of all of them."""
MAX_SEARCHED = 50_000_000
"""Characters that are looked through for the ends of inline markup: each beginning is followed to its end, or in vain to
the end of the paragraph."""
MAX_REFERENCES = 3000
"""References in a paragraph."""
MAX_TARGETS = 500
"""Targets one behind the other."""
MAX_CONTENTS = 20
"""Tables of contents, each of which has all headers."""
MAX_TABLE_LINES, MAX_TABLE_CORNERS, MAX_COLUMNS = 4000, 6000, 500

_LONG_TAG = 3 * MAX_ATTRIBUTES
_ATTRIBUTE = re.compile(r"""(?<![\s/])[\s/]+[^\s/=]+(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s]*+))?""")
_DEFINITION = re.compile(r"^([ \t]*)\.\.[ \t]+\|([^|\n]{1,200})\|[ \t]+replace::(.*(?:\n\1[ \t]+\S.*)*)", re.MULTILINE)
_SUBSTITUTION = re.compile(r"\|([^\s|](?:[^|\n]{0,200}[^\s|])?)\|")
_BLANK = re.compile(r"\n(?:[^\S\n]*\n)+")
_MARK = re.compile(r"\*\*|\*|``|`|\||_(?![\w_])")
_BEFORE, _BEHIND = set(" \t\n'\"([{<-/:"), set(" \t\n'\")]}>-/:.,;!?\\")
_TARGETS = re.compile(r"(?:^[ \t]*(?:\.\.[ \t]+_|__[ \t]).*\n[ \t\n]*)+", re.MULTILINE)
_GRID = re.compile(r"(?:^[ \t]*[+|].*\n)+", re.MULTILINE)
_COLUMNS = re.compile(r"^[ \t]*=+(?:[ \t]+=+)+[ \t]*$", re.MULTILINE)


_ROOM = 2**26


def check_memory() -> None:
    """Tell an error that has its own reason from one in which a library in C says that it got no memory.

    Raises:
        MemoryError: there is hardly any left (apart.py limits it).
    """
    bytearray(_ROOM)


class TooMuch(ValueError):
    """A document of which a parser would make far more than what is written."""


def check_attributes(html: str) -> None:
    """Refuse a tag with more than `MAX_ATTRIBUTES` attributes.

    Raises:
        TooMuch: there is one.
    """
    if len(html) < _LONG_TAG or max(map(len, parts := html.split(">"))) < _LONG_TAG:
        return
    end = -1
    for part in parts:
        start, end = end + 1, end + 1 + len(part)
        at = part.find("<") if len(part) >= _LONG_TAG else -1
        if len(part) - at < _LONG_TAG or not part[at + 1 : at + 2].isalpha() or _in_script(html, start + at):
            continue
        if (count := sum(1 for _ in _ATTRIBUTE.finditer(part, at))) > MAX_ATTRIBUTES:
            raise TooMuch(f"a tag with {count} attributes, at most {MAX_ATTRIBUTES}")


def _in_script(html: str, at: int) -> bool:
    return html.rfind("<script", 0, at) > html.rfind("</script", 0, at)


def check_rst(text: str) -> None:
    """Refuse reStructuredText whose substitutions, inline markup, targets or tables grow beyond all bounds.

    Raises:
        TooMuch: they do.
    """
    _check_substitutions(text)
    if (count := text.count("contents::")) > MAX_CONTENTS:
        raise TooMuch(f"{count} tables of contents, at most {MAX_CONTENTS}")
    for paragraph in _BLANK.split(text):
        _check_inline(paragraph)
    for kind, pattern, mark, most in (
        ("targets in a row", _TARGETS, "_", MAX_TARGETS),
        ("lines of a table", _GRID, "\n", MAX_TABLE_LINES),
        ("corners of a table", _GRID, "+", MAX_TABLE_CORNERS),
        ("columns of a table", _COLUMNS, " =", MAX_COLUMNS),
    ):
        for found in pattern.finditer(text):
            if (count := found[0].count(mark)) > most:
                raise TooMuch(f"{count} {kind}, at most {most}")


def _check_substitutions(text: str) -> None:
    """Add up what stands for what, each definition once its own parts are known."""
    bodies = {_name(name): body for _, name, body in _DEFINITION.findall(text)}
    sizes: dict[str, tuple[int, int]] = {}
    for start in bodies:
        waiting = [start]
        while waiting:
            name = waiting[-1]
            parts = [part for part in map(_name, _SUBSTITUTION.findall(bodies[name])) if part in bodies]
            missing = [part for part in parts if part not in sizes and part not in waiting]
            if missing and len(waiting) <= len(bodies):
                waiting.append(missing[0])
                continue
            waiting.pop()
            made = [sizes.get(part, (0, 0)) for part in parts]  # a ring is none, and docutils says so
            sizes[name] = (
                min(len(made) + sum(count for count, _ in made), 10**12),
                min(len(bodies[name]) + sum(size for _, size in made), 10**12),
            )
    used = [sizes[name] for name in map(_name, _SUBSTITUTION.findall(text)) if name in sizes]
    if (count := sum(count for count, _ in used)) > MAX_EXPANSIONS:
        raise TooMuch(f"{count} substitutions in substitutions, at most {MAX_EXPANSIONS}")
    if (size := sum(size for _, size in used)) > MAX_EXPANDED:
        raise TooMuch(f"{size} characters of substitutions, at most {MAX_EXPANDED}")


def _name(name: str) -> str:
    return " ".join(name.lower().split())


def _check_inline(paragraph: str) -> None:
    if paragraph.count("_") > MAX_REFERENCES:
        references = sum(1 for _ in re.finditer(r"[^\s_]_(?![\w_])", paragraph))
        if references > MAX_REFERENCES:
            raise TooMuch(f"{references} references in a paragraph, at most {MAX_REFERENCES}")
    longest = max(paragraph.split(), key=len, default="")
    if (searched := longest.count(":") * len(longest)) > MAX_SEARCHED // 10:
        raise TooMuch(f"{searched} characters to look through for addresses, at most {MAX_SEARCHED // 10}")
    if sum(map(paragraph.count, "*`|")) * len(paragraph) > MAX_SEARCHED:
        searched = sum(_distances(paragraph))
        if searched > MAX_SEARCHED:
            raise TooMuch(f"{searched} characters to look through for ends of markup, at most {MAX_SEARCHED}")


def _distances(paragraph: str) -> Iterator[int]:
    """Yield how far each beginning of inline markup is from its end, or from that of the paragraph."""
    ends: dict[str, int] = {}
    for found in reversed(list(_MARK.finditer(paragraph))):
        start, end = found.span()
        before, behind = paragraph[start - 1 : start], paragraph[end : end + 1]
        if (not before or before in _BEFORE) and behind and not behind.isspace():
            yield ends.get(found[0], len(paragraph)) - start
        if before and not before.isspace() and (not behind or behind in _BEHIND):
            ends[found[0]] = start
