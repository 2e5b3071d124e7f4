"""How much of a segment is prose, and whether it comes to an end (ours; the paper has no such rules)."""

from askback.recipe import Corpus
from askback.text.endings import CLOSING, FINAL, SENTENCE_CHARS, breaks_off, width

_LONG_LINE = 80
_ENDS = (*FINAL, *":;：；؛")


def no_prose(text: str, options: Corpus) -> str | None:
    """Rule "no-prose" (ours): less than `min_prose` of the text (0.3) is in lines of prose.

    Such a line ends as a sentence does (of a table, a row's last cell), or is longer than a title or a link's text. The
    paper has no such rule; its corpus holds only highly linked pages. What it drops are lists of links, names and numbers,
    which answer nothing; a list of ingredients over half as much instruction passes.
    """
    prose = 0
    for line in text.split("\n"):
        size = width(line)
        ended = line.rstrip(CLOSING + "|").endswith(_ENDS)
        if size >= SENTENCE_CHARS and (ended or (size >= _LONG_LINE and line[0] != "|")):
            prose += len(line)
    share = prose / max(len(text), 1)
    if share >= options.min_prose:
        return None
    return f"{share:.1%} of the text is prose, at least {options.min_prose:.1%} wanted"


def unfinished(text: str, options: Corpus) -> str | None:
    """Rule "unfinished" (ours): the text breaks off as a teaser does (text/endings.py). On with `finished`."""
    if not options.finished or not (end := breaks_off(text)):
        return None
    return f"ends with {end!r}, wanted the end of a sentence"
