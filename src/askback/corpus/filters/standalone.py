"""Whether a segment can be read without the page around it (ours)."""

import re

from askback.recipe import Corpus
from askback.text.prose import plain_lines

_OPENING = re.compile(
    r"(?:however|therefore|thus|hence|moreover|furthermore|nevertheless|nonetheless|consequently|similarly|likewise|"
    r"instead|otherwise|meanwhile|besides|but|and|so|then|also|yet|or|nor|such|he|she|they|these|those|it|that|this)\b"
    r"(?!-)|as (?:we|you) (?:saw|have seen|know from|will recall)|as (?:mentioned|noted|described|shown|discussed|"
    r"explained|stated) (?:above|earlier|before|previously)|in (?:addition|contrast) to (?:this|these|that|the above)",
    re.IGNORECASE,
)
_OF_ITSELF = re.compile(
    r"(?:this|these|that|it|so|then|such|and|or|but) (?:article|page|guide|recipe|tutorial|section|chapter|document|post|"
    r"book|handbook|manual|essay|paper|report|list|lesson|course|module|package|class|function|method|library|tool|program|"
    r"command|option|project|website|site|blog|form|instructions|pages|steps|is (?:a|an|the|important|possible|easy|best)|"
    r"takes|depends|may|can|should|you)\b",
    re.IGNORECASE,
)
"""Openings that speak of the text itself, or of nothing before it ("It is easy to …")."""
_ABOVE = re.compile(
    r"\b(?:the above|as above|see above|(?:mentioned|described|shown|listed|given|defined|discussed) above|above-mentioned|"
    r"the (?:previous|preceding) (?:section|chapter|example|step|page|paragraph|figure|table|exercise)|"
    r"(?:in|from) (?:chapter|section) \d{1,3}(?:\.\d{1,3})?)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"\b(figure|fig\.|table|listing|equation|step|exercise|example) (\d{1,3}(?:[.-]\d{1,3})?)", re.IGNORECASE
)


def leans_on(text: str) -> str | None:
    """Return how a segment leans on what is not in it, None if it stands alone, as far as English words tell.

    It opens with a word that goes on from something ("However", "These", "As we saw"), speaks of what is above, or points
    to a figure, table, step or the like of a number that it does not hold.
    """
    lines = plain_lines(text)
    opening = _OPENING.match(lines[0]) if lines else None
    if opening and not _OF_ITSELF.match(lines[0]):
        return f"opens with {opening[0]!r}"
    if found := _ABOVE.search(text):
        return f"speaks of {found[0]!r}"
    for found in _NUMBERED.finditer(text):
        if not _holds(text, lines, found[1].lower(), found[2]):
            return f"points to {found[0]!r}"
    return None


def _holds(text: str, lines: list[str], kind: str, number: str) -> bool:
    if kind == "table" and "\n|" in f"\n{text}":
        return True
    if kind == "step" and re.search(rf"^\s*{re.escape(number)}[.)] ", text, re.MULTILINE):
        return True
    return any(re.match(rf"{re.escape(kind)} {re.escape(number)}\b", line, re.IGNORECASE) for line in lines)


def standalone(text: str, options: Corpus) -> str | None:
    """Rule "leans-on-others": `leans_on`. On with `standalone`; without it, such segments are counted and stay."""
    return leans_on(text) if options.standalone else None
