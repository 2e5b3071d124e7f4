"""What a file says of itself above its text: YAML, TOML, JSON, Org keywords, or lines of ``Key: value``."""

import json
import re

MAX_LINES, MAX_CHARS = 400, 100_000
"""Front matter is no longer; what is, is text."""

_LANGUAGES = {"": "", "yaml": "---", "yml": "---", "toml": "+++", "json": ";;;"}
_MARKS = {"---": ("---", "..."), "+++": ("+++",), ";;;": (";;;",)}
_LINE = re.compile(
    r"""[\w"'][\w"' .@/-]{0,80}?(?::(?:\s|\Z)|\s{0,20}=)|[\w"'.-]{1,80}(?::|\Z)|#|-\s|[ \t\[\]{}"',]|<<:|\Z"""
)
"""How each line of YAML, TOML or JSON begins, where a line of prose does not."""
_KEY = re.compile(r"""[\w"'][\w"' .@/-]{0,80}?(?::|\s{0,20}=)|[\[{]|<<:""")
"""How the first line begins that is neither empty nor a comment."""
_ORG = re.compile(r"#\+[A-Za-z_]{1,40}(?:\[\])?:")
_FIELD = re.compile(r"([A-Za-z][\w -]{0,40}):(?:[ \t]|\Z)")
_FIRST = re.compile(r"[{%]|#\+|[A-Za-z][\w -]{0,40}:[ \t]")
_ABOUT = frozenset(
    (
        "title author authors date tags category categories slug summary description layout status template modified lang "
        "language keywords copyright subtitle css permalink"
    ).split()
)


def without_front_matter(text: str, fenced: bool = False) -> str:
    """Return a text without its front matter, if it begins with some; a mark without a second one is text.

    Args:
        text: a file.
        fenced: look for what stands between two marks alone (``---``, ``+++``, ``;;;``).
    """
    start = text.lstrip("\ufeff\r\n")
    if start[:3] not in _MARKS and (fenced or not _FIRST.match(start)):
        return text
    lines = start[:MAX_CHARS].splitlines(keepends=True)[:MAX_LINES]
    bare = [line.rstrip() for line in lines]
    end = _fenced(bare) or (0 if fenced else _org(bare) or _percent(bare) or _fields(bare))
    if end:
        return start[sum(map(len, lines[:end])) :]
    return _without_json(start) if start[0] == "{" else text


def _fenced(lines: list[str]) -> int:
    """Return how many lines are front matter between two marks, the first of which may name its language."""
    mark, name = lines[0][:3], lines[0][3:].strip().lower()
    if mark not in _MARKS or name not in _LANGUAGES:
        return 0
    ends = (*_MARKS[mark], _LANGUAGES[name] or mark)
    end = next((at for at, line in enumerate(lines) if at and line in ends), 0)
    inside = lines[1:end]
    said = [line for line in inside if line and line[0] != "#"]
    # A list between two rules says nothing of the file.
    own = _KEY.match(said[0]) if said else not any(inside)
    return end + 1 if end and own and all(map(_LINE.match, inside)) else 0


def _org(lines: list[str]) -> int:
    count = 0
    for line in lines:
        if not _ORG.match(line):
            break
        count += 1
    return count


def _percent(lines: list[str]) -> int:
    """Return the lines of a title block as pandoc has it: ``% title``, authors, date."""
    count = 0
    for line in lines[:20]:
        if not line.startswith("% ") and not (count and line.startswith("  ")):
            break
        count += 1
    return count if count and (count == len(lines) or not lines[count].strip()) else 0


def _fields(lines: list[str]) -> int:
    """Return the lines of ``Key: value`` at the top, two of which have to be known ones, up to a blank line."""
    known, count = 0, 0
    for line in lines:
        field = _FIELD.match(line)
        if not field and not (count and line[:1] in (" ", "\t")):
            break
        known += bool(field and field[1].lower() in _ABOUT)
        count += 1
    return count if known >= 2 and (count == len(lines) or not lines[count].strip()) else 0


def _without_json(text: str) -> str:
    """Leave out an object at the top of a file that goes on behind it."""
    try:
        found, end = json.JSONDecoder().raw_decode(text[:MAX_CHARS])
    except (ValueError, RecursionError):
        return text
    line, more, behind = text[end:].partition("\n")
    return behind if isinstance(found, dict) and more and not line.strip() else text
