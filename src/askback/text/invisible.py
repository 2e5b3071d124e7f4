"""Characters that no reader sees, which can hide words from people and show them to a model."""

import re
from unicodedata import category

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
"""Soft hyphens, joiners, zero-width spaces, direction marks, overrides and isolates, fillers, variation selectors, tags."""
_SOME = re.compile(
    rb"\xc2\xad|\xcd\x8f|\xd8\x9c|\xe1(?:\x85[\x9f\xa0]|\x9e[\xb4\xb5]|\xa0[\x8b-\x8f])|\xe3\x85\xa4|"
    rb"\xe2(?:\x80[\x8b-\x8f\xa8-\xae]|\x81[\xa0-\xaf])|\xef(?:\xb8[\x80-\x8f]|\xbb\xbf|\xbe\xa0|\xbf[\xb9-\xbb])|"
    rb"\xf0\x9b\xb2|\xf0\x9d\x85|\xf3\xa0"
)
"""Pattern of the same and of line separators in UTF-8, where they are found ten times faster."""
_JOINERS, _DIRECTIONS, _PRESENTATION = "\u200c\u200d", "\u200e\u200f\u061c", "\ufe0e\ufe0f"
_FLAG = re.compile("[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
_BREAKS = re.compile("[\u2028\u2029]")


def some_invisible(text: str) -> bool:
    """Return whether a text may have invisible characters or line separators."""
    return not text.isascii() and bool(_SOME.search(text.encode("utf-8", "replace")))


def without_invisible(text: str) -> tuple[str, int]:
    """Return a text without invisible characters, and how many there were.

    Kept are those that change what is seen: joiners where a script joins letters (Arabic, Indic and their relatives) and
    within an emoji, its presentation and the tags of a flag, variants of Chinese and Mongolian characters, and direction
    marks beside right-to-left letters; one of each, since more of them say nothing. Unicode's line separators become line
    ends.
    """
    if not some_invisible(text):
        return text, 0
    made = _INVISIBLE.sub(_kept, _BREAKS.sub("\n", text))
    return made, len(text) - len(made)


def _kept(found: re.Match[str]) -> str:
    text, start, end = found.string, found.start(), found.end()
    before, after = text[start - 1] if start else "", text[end : end + 1]
    if before == "\U0001f3f4" and (flag := _FLAG.match(found[0])):
        return flag[0]
    kept = ""
    for character in found[0]:
        if _changes(character, kept[-1:] or before, after):
            kept += character
    return kept


def _changes(character: str, before: str, after: str) -> bool:
    """Return whether a character changes how those before and behind it are shown."""
    if not before:
        return False
    if character in _JOINERS:
        return _joins(before) or (character == "\u200d" and _pictures(before) and _pictures(after))
    if character in _DIRECTIONS:
        return _right_to_left(before) or _right_to_left(after)
    if character in _PRESENTATION:
        return (
            category(before) in ("So", "Sm") or before in "‼⁉〰〽" or (after == "\u20e3" and before in "0123456789#*")
        )
    if "\u180b" <= character <= "\u180f":
        return "\u1820" <= before <= "\u18aa"
    variant = "\ufe00" <= character <= "\ufe0d" or "\U000e0100" <= character <= "\U000e01ef"
    return variant and ("\u3400" <= before <= "\u9fff" or "\uf900" <= before <= "\ufaff" or before >= "\U00020000")


def _joins(character: str) -> bool:
    """Return whether a character is of a script whose letters take another form where they are joined."""
    joined = (
        "\u0600" <= character <= "\u0dff"
        or "\u1000" <= character <= "\u109f"
        or "\u1780" <= character <= "\u1aff"
        or "\ua840" <= character <= "\uabff"
        or "\ufb50" <= character <= "\ufefc"
        or "\U00010a00" <= character <= "\U00011fff"
    )
    return joined and category(character)[0] in "LM"


def _right_to_left(character: str) -> bool:
    return (
        "\u0590" <= character <= "\u08ff"
        or "\ufb1d" <= character <= "\ufefc"
        or "\U00010800" <= character <= "\U00010fff"
    )


def _pictures(character: str) -> bool:
    return character == "\ufe0f" or "\U0001f3fb" <= character <= "\U0001f3ff" or category(character or " ") == "So"
