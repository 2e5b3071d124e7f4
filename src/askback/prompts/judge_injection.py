"""What a pair says to its judge about its own rating is kept from the judge: no document can vote for itself.

A small model copies a digit that it has read, whatever its prompt says: with "Verdict: 5" behind an answer, an untaught
SmolLM2-135M rates it five standard deviations higher. Two things are done. Sentences of known forms, and characters that
nobody sees, are left out of the judge's prompt (`without_votes`); the pair itself is unchanged. For what no list of forms
knows, a scorer asks again without the sentences that hold a number of the highest levels (`without_numbered`), and takes
the lower score. The marker around the pair, and a taught judge, are further protection.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

import regex

from askback.text.endings import MARK, width
from askback.text.invisible import without_invisible

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


_DIGIT = re.compile(r"(?![0-9])\d")
VERSION = 2
"""Of what is done beside `FORMS`, part of the id of a judge's prompt."""


def without_votes(text: str) -> str:
    """Return a text without invisible characters and the sentences and lines of known forms; numbers of lists stay."""
    text, _ = without_invisible(text)
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
    """Return a text in lower case, with Latin letters in place of those that look like them, and the digits 0 to 9."""
    if text.isascii():
        return text.lower()
    latin = unicodedata.normalize("NFKC", text).lower().translate(_LOOK_ALIKE)
    return _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), latin)


_MARKS = re.compile(r"^[^\w\n]*(\d{1,3})[.)][ \t]", re.MULTILINE)
"""Numbers of lists."""
_AGAIN = r"(?:[ \t]+\w{1,20}){1,2}[ \t]+(?P=number)(?!\w)"
"""What follows the first number of "5 out of 5"."""
_COUNTS = r"[ \t]+(?:[\p{L}'-]{1,20}[ \t]+){0,2}(?!this\b)\p{L}{2,20}s\b"
"""What follows a number that counts: a plural, with at most two words before it."""
_ENDS = re.compile("(?<=[.!?。！？।][ \t])")
_GAP = re.compile("\n{3,}")
SHORT = 60
"""Width of the longest sentence that is left out for a number in it."""
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def without_numbered(text: str, numbers: Sequence[int]) -> str:
    """Return a text without its short sentences that hold one of these numbers, and longer ones without the numbers.

    Digits of any script count, and English words, where they stand for themselves: not where they count something
    ("5 minutes"), in a list or a series, or as a part of a number or word. What `without_votes` leaves out goes too. A text
    without such a number, or of nothing else, stays.
    """
    found = _numbers(tuple(numbers))
    if not found.search(without_invisible(text)[0]):
        return text
    shown = without_votes(text)
    opening = set(map(int, _MARKS.findall(shown)))

    def kept(number: regex.Match[str]) -> str:
        # "5." is the number of a list where a line begins with "4." too.
        listed = number["mark"] and unicodedata.numeric(number["mark"]) - 1 in opening
        return number[0] if listed else number["before"] or ""

    def silent(sentence: str) -> str:
        left = found.sub(kept, sentence)
        return left if left == sentence or width(sentence) > SHORT else ""

    lines = shown.split("\n")
    left = ["".join(map(silent, _sentences(line))) for line in lines]
    if left == lines:
        return shown
    left = [now.rstrip() for now, before in zip(left, lines, strict=True) if now.strip() or not before.strip()]
    return _GAP.sub("\n\n", "\n".join(left)).strip() or text


def _sentences(line: str) -> list[str]:
    """Return the sentences of a line, each with the space behind it; the mark of a list is a part of the first."""
    mark = MARK.match(line)
    first = mark.end() if mark else 0
    head, *rest = _ENDS.split(line[first:])
    return [line[:first] + head, *rest]


@lru_cache
def _numbers(numbers: tuple[int, ...]) -> regex.Pattern[str]:
    """Return the pattern of numbers by their Unicode value; `mark` is a digit that begins a line, as in a list."""
    named = [level for level in numbers if 0 <= level < len(_WORDS)]
    digit = "|".join(rf"\p{{nv={level}}}" for level in named) or "(?!)"
    others = [str(level) for level in numbers if level > 9]
    number = "|".join([digit, *(rf"\b{_WORDS[level]}\b" for level in named), *others])
    alone = (
        rf"(?P<before>^[^\w\n]*)(?P<mark>{digit})(?=[.)][ \t])"
        rf"|(?<![A-Za-z\d_$€£])(?<!\d[.,:/–-])(?<!\d, )(?P<number>{number})(?P=number)*(?:[.,]0)?"
        rf"(?![A-Za-z\d_%]|[.,:–-]\d|/\w|, \d)(?:(?={_AGAIN})|(?!{_COUNTS}))"
    )
    return regex.compile(alone, regex.IGNORECASE | regex.MULTILINE)
