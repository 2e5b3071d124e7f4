"""How much of a segment is prose, and whether it comes to an end (ours; the paper has no such rules)."""

import re

from askback.config import Corpus

_MARK = re.compile(r"[> \t]*(?:#{1,6} +|[-*+:] +|\d+[.)] +)?")


def without_code(text: str) -> str:
    """Return the text without its blocks of code; a block that is not closed stays."""
    if "```" not in text:
        return text
    kept: list[str] = []
    code: list[str] = []
    ticks = ""
    for line in text.split("\n"):
        bare = line.lstrip(" >")
        if code:
            code.append(line)
            if bare.rstrip(" \t") == ticks:
                code = []
                kept.append("")
        elif bare.startswith("```"):
            ticks = bare[: len(bare) - len(bare.lstrip("`"))]
            code = [line]
        else:
            kept.append(line)
    return "\n".join(kept + code)


def plain_lines(text: str) -> list[str]:
    """Return the lines that hold words, without code and without the marks of lists, quotations and headers."""
    lines = (line[match.end() :] for line in without_code(text).split("\n") if (match := _MARK.match(line)))
    return [line.rstrip() for line in lines if line.strip()]


_SENTENCE_CHARS = 28
_LONG_LINE = 80
_FINAL = tuple(".!?。！？｡؟۔।॥։።")
"""Ends of sentences: Latin, Chinese and Japanese, Arabic and Urdu, Indic, Armenian, Ethiopic."""
_ENDS = (*_FINAL, *":;：；؛")
_CLOSING = "”’“‘»«›‹\"')]」』）】》*_` "
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def width(text: str) -> int:
    """Return the length of a text, a Chinese, Japanese or Korean character counting as two: it says at least as much."""
    return len(text) if text.isascii() else len(text) + len(_DENSE.findall(text))


def no_prose(text: str, options: Corpus) -> str | None:
    """Rule "no-prose" (ours): less than `min_prose` of the text (0.3) is in lines of prose.

    Such a line ends as a sentence does, or is longer than a title or the text of a link. The paper has no such rule; its
    corpus holds only highly linked pages. What it drops are lists of links, names and numbers, which answer nothing; a
    list of ingredients over half as much instruction passes.
    """
    prose = 0
    for line in text.split("\n"):
        size = width(line)
        if size >= _SENTENCE_CHARS and (
            line.rstrip(_CLOSING).endswith(_ENDS) or (size >= _LONG_LINE and line[0] != "|")
        ):
            prose += len(line)
    share = prose / max(len(text), 1)
    if share >= options.min_prose:
        return None
    return f"{share:.1%} of the text is prose, at least {options.min_prose:.1%} wanted"


_GOES_ON = re.compile(r"(?:\.\.\.|…|[,;:–—，、；：،؛-]|\b(?:and|or|but|the))$", re.IGNORECASE)


def unfinished(text: str, options: Corpus) -> str | None:
    """Rule "unfinished" (ours): the text breaks off, as the teaser of a longer page does. On with `finished`.

    It breaks off if it ends with an ellipsis, a comma, colon or dash, or a word that cannot end a sentence; or if its last
    line is prose (no header, list item, table or code, and no shorter than a sentence) and ends without a full stop,
    question or exclamation mark. Brackets and quotation marks after that mark do not count.
    """
    last = text.rstrip().rpartition("\n")[2]
    ended = last.rstrip(_CLOSING)
    if not options.finished or last.startswith("|") or not ended:
        return None
    marked = bool(_MARK.match(last).group().strip())  # type: ignore[union-attr]  # it matches any line
    if _GOES_ON.search(ended) or not (marked or width(last) < _SENTENCE_CHARS or ended.endswith(_FINAL)):
        return f"ends with {last[-40:]!r}, wanted the end of a sentence"
    return None
