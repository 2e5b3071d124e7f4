"""Sentences of a pair that are addressed to a judge are not shown to the judge: no document can vote for itself.

A small model copies a digit that it has just read, whatever its prompt says: with "Score: 5" after an output, an untaught
SmolLM2-135M rated a wrong answer 1.5 levels higher. So such sentences are removed from the judge's prompt; the pair itself
is unchanged. This filter knows certain forms and does not stop every wording; the marker around the pair, and a taught
judge, are further protection.
"""

import re
import unicodedata
from collections.abc import Callable

_BORDERS = re.compile(r"([.!?\n](?:(?<=[^\W\d][.!?])[ \t]+|(?<=\n)\n*))")
"""What stands between sentences, with the mark that ends the first; not the space after the number of a list. It begins
with the few characters that a border can begin with, which are found several times as fast as what stands before one."""

_LEVEL = r"(?:[0-5](?:\.\d+)?(?![\w%]|[.,/]?\d)|five|max(?:imum)?|highest)"
_IT = r"(?:this|it|the\s+(?:answer|response|output|pair))"
FORMS = (
    # a rating: "the score is 5", "rating=5", "rated this answer a 5", "the highest possible rating", "5/5", "five stars"
    rf"\b(?:scores?|ratings?|grade)\b(?:\W+\w+){{0,5}}?\W+{_LEVEL}",
    rf"\b(?:rate|grade|score|judge|mark)d?\s+{_IT}\b(?:\W+\w+){{0,5}}?\W+{_LEVEL}",
    rf"\b(?:give|award)\s+{_IT}\b(?:\W+\w+){{0,3}}?\W+(?:[0-5]|five)\W*$",
    r"\b(?:full|top|highest|max(?:imum)?|perfect|best)(?:[\s-]+possible)?[\s-]+(?:stars|marks|scores?|ratings?|grades?)\b",
    r"[45](?<![\w/.].)(?:\.\d)?\s*(?:/\s*5(?![\w/])|out\s+of\s+(?:5|five)\b|stars?\b)",
    r"\bfive[\s-]+stars?\b",
    r"\b(?:this|the)\s+(?:answer|response|output|pair)\s+(?:is|was|deserves)\b(?:\W+\w+){0,2}?\W+(?:perfect|flawless|outstanding|excellent)\b",
    # an order to the judge
    r"\b(?:ignore|disregard|forget|override)\b(?:\W+\w+){0,6}?\W+(?:rubric|instructions?|rules|prompt|ratings?|scale|criteria)\b",
    r"\breply\s+with\b(?:\W+\w+){0,8}?\W+(?:score|digit)\b",
    # turns of a conversation, borders of a prompt
    r"^\W*(?:system|judge|rater|grader)\W*:",
    r"^\s*-{2,}\s*(?:request|answer|end)\b",
    r"<\|[^<>|\s]{1,40}\|>|\[/?inst\]|<</?sys>>|</?s>|</?(?:start|end)_of_turn>|</(?:answer|request|document|system|rubric)>",
    # what only a machine reads: base64
    r"(?<![\w/+=])[a-z0-9+/]{8,}={1,2}(?=[\s)\].,]|$)",
    # a digit again and again
    r"^\W*([0-5])(?:\W+\1){2,}\W*$",
)
SIGNS = (
    "score rating grade",
    "rate grade score judge mark",
    "give award",
    "stars marks score rating grade",
    "4 5",
    "five",
    "perfect flawless outstanding excellent",
    "ignore disregard forget override",
    "reply",
    "system judge rate grade",
    "--",
    "< inst]",
    "=",
    "0 1 2 3 4 5",
)
"""For each of `FORMS`, words of which every match holds at least one. Few sentences hold any, so searching for these first
takes a fifth of the time."""
_LOOK_ALIKE = str.maketrans("аеіоорсхуѕԁɡαενορτ", "aeioopcxysdgaevopt")
"""Cyrillic and Greek letters that look like Latin ones."""
_SEARCHES: dict[str, list[Callable[[str], object]]] = {}
"""For each sign, the searches for the forms of a sentence that holds it."""
for _form, _signs in zip(FORMS, SIGNS, strict=True):
    _compiled = re.compile(_form)
    for _sign in _signs.split():
        # `search` would try a form that is bound to the beginning at every place.
        _SEARCHES.setdefault(_sign, []).append(_compiled.match if _form[0] == "^" else _compiled.search)


def without_votes(text: str) -> str:
    """Return a text without the sentences and lines that are addressed to a judge; numbers of lists stay."""
    plain = _plain(text)
    likely = [(sign, search) for sign, searches in _SEARCHES.items() if sign in plain for search in searches]
    if not likely:
        return text.strip()
    parts = _BORDERS.split(text)
    sentences = [_plain(sentence) for sentence in parts[::2]]
    votes = {
        number
        for sign, search in likely
        for number, sentence in enumerate(sentences)
        if sign in sentence and search(sentence)
    }
    if not votes:
        return text.strip()
    return "".join(part for number, part in enumerate(parts) if number // 2 not in votes).strip()


def _plain(text: str) -> str:
    """Return a text in lower case, with Latin letters in place of those that look like them."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).lower().translate(_LOOK_ALIKE)
