"""How much of a segment is prose, and whether it comes to an end (ours; the paper has no such rules)."""

from askback.config import Corpus
from askback.endings import CLOSING, FINAL, MARK, SENTENCE_CHARS, breaks_off, width


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
    lines = (line[match.end() :] for line in without_code(text).split("\n") if (match := MARK.match(line)))
    return [line.rstrip() for line in lines if line.strip()]


_LONG_LINE = 80
_ENDS = (*FINAL, *":;：；؛")


def no_prose(text: str, options: Corpus) -> str | None:
    """Rule "no-prose" (ours): less than `min_prose` of the text (0.3) is in lines of prose.

    Such a line ends as a sentence does, or is longer than a title or the text of a link. The paper has no such rule; its
    corpus holds only highly linked pages. What it drops are lists of links, names and numbers, which answer nothing; a
    list of ingredients over half as much instruction passes.
    """
    prose = 0
    for line in text.split("\n"):
        size = width(line)
        if size >= SENTENCE_CHARS and (line.rstrip(CLOSING).endswith(_ENDS) or (size >= _LONG_LINE and line[0] != "|")):
            prose += len(line)
    share = prose / max(len(text), 1)
    if share >= options.min_prose:
        return None
    return f"{share:.1%} of the text is prose, at least {options.min_prose:.1%} wanted"


def unfinished(text: str, options: Corpus) -> str | None:
    """Rule "unfinished" (ours): the text breaks off as a teaser does (endings.py). On with `finished`."""
    if not options.finished or not (end := breaks_off(text)):
        return None
    return f"ends with {end!r}, wanted the end of a sentence"
