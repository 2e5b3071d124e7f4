"""Long texts cut at the ends of paragraphs, and paragraphs that stand in a text twice (ours)."""

import re
from collections import Counter
from collections.abc import Iterator

from askback.text.endings import QUESTIONS
from askback.text.prose import fence_after
from askback.text.words import normal

COPY_CHARS = 40
"""Shorter paragraphs are never copies: "Explain your answer." recurs in good text."""
QUESTION_CHARS = 150
"""Fewer characters that ask are answered by what follows, as in interviews."""
_LIST = re.compile(r"(?:> )*(?:[-*+] |\d{1,9}[.)] |: | {2,}\S)")
_HEADER = re.compile(r"#{1,6} \S[^\n]*\Z")
_ENDED = re.compile(r"(?<=[.!?。！？])\s+")


def parts(text: str, most: int) -> list[str]:
    """Cut a text into consecutive parts of at most `most` characters, each as long as it can be.

    A part ends with a paragraph: never within code, a table or a list, nor behind a header, a colon or a short question.
    What cannot be cut so is a part by itself, longer than `most`.
    """
    found: list[str] = []
    for unit in _units(text):
        if found and len(found[-1]) + 2 + len(unit) <= most:
            found[-1] += f"\n\n{unit}"
        else:
            found.append(unit)
    return found


def without_copies(text: str) -> str:
    """Leave out paragraphs all of whose sentences stand in others too: quotations set twice, captions, teasers."""
    pieces = list(paragraphs(text))
    sentences = [_sentences(piece) for piece in pieces]
    found = Counter(sentence for one in sentences for sentence in set(one))
    if all(count == 1 for count in found.values()):
        return text
    kept = []
    for piece, mine in zip(pieces, sentences, strict=True):
        if mine and sum(map(len, mine)) >= COPY_CHARS and all(found[one] > 1 for one in mine):
            found.subtract(set(mine))
        else:
            kept.append(piece)
    return "\n\n".join(kept)


def _units(text: str) -> Iterator[str]:
    """Yield paragraphs, together with those they cannot be parted from."""
    unit: list[str] = []
    for paragraph in paragraphs(text):
        if unit and not (_leads_on(unit[-1]) or (_LIST.match(paragraph) and _LIST.match(unit[-1]))):
            yield "\n\n".join(unit)
            unit = []
        unit.append(paragraph)
    if unit:
        yield "\n\n".join(unit)


def _leads_on(paragraph: str) -> bool:
    ended = paragraph.rstrip("* ")
    question = len(ended) < QUESTION_CHARS and ended.endswith(tuple(QUESTIONS))
    return question or bool(_HEADER.match(paragraph)) or ended.endswith((":", "："))


def paragraphs(text: str) -> Iterator[str]:
    """Yield what stands between blank lines; code is one piece."""
    unit: list[str] = []
    fence = ""
    for piece in text.split("\n\n"):
        for line in piece.split("\n"):
            fence = fence_after(line, fence)
        unit.append(piece)
        if not fence:
            yield "\n\n".join(unit)
            unit = []
    if unit:
        yield "\n\n".join(unit)


def _sentences(paragraph: str) -> list[str]:
    if paragraph.startswith(("|", "#")) or paragraph.lstrip(" >").startswith("```"):
        return []
    return [words for part in _ENDED.split(paragraph.lstrip("> -")) if (words := normal(part).strip("\"“”'’‘.!? "))]
