"""Words in every script: the one definition by which text is split into words.

In scripts that put spaces between words, a word is a run of letters, digits and their marks; "isn't" is two, and so is
``snake_case``. Korean words stand between spaces, with their particles. Chinese, Japanese, Thai, Lao, Khmer and Burmese
are written without spaces, and telling their words apart takes a dictionary for each: there, a letter with its marks is
a word. Tibetan and Amharic, which have separators of their own, are taken apart at these.
"""

import re
from collections.abc import Sequence
from itertools import groupby, pairwise
from unicodedata import normalize

import regex

_CJK = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\u3005-\u3007\u3031-\u3035\u30fc\uff70"
_COMPLEX = r"\p{Line_Break=Complex_Context}"
"""Unicode's own property of the scripts of South East Asia that need a dictionary to be cut into words."""
_LETTERS = r"\p{L}\p{M}\p{N}"
_ONE = rf"[{_CJK}{_COMPLEX}]\p{{M}}*"
_WORD = rf"{_ONE}|(?:(?![{_CJK}{_COMPLEX}])[{_LETTERS}])+"
_ANY_WORDS = regex.compile(_WORD)
_ASCII_WORDS = re.compile(r"[a-z0-9]+")
_LATIN_WORDS = re.compile(r"[^\W_]+")
_BEYOND_LATIN = re.compile("[\u0300-\u1fff\u2c00-\U0010ffff]")
_TOKENS = regex.compile(rf"{_WORD}|\S")
_PIECES = regex.compile(rf"(?:{_ONE}|(?:(?![{_CJK}{_COMPLEX}])\S)+)(?:(?![{_LETTERS}])\S)*")
_CJK_LETTER, _COMPLEX_LETTER = regex.compile(rf"[{_CJK}]"), regex.compile(f"{_COMPLEX}")
_UNSPACED_LETTER = regex.compile(rf"[{_CJK}{_COMPLEX}]")

_INVISIBLE = re.compile("[\u00ad\u0640\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff]")
"""Characters that change at most the look of a word: soft hyphens, joiners, direction marks, the Arabic elongation."""

CJK_PER_WORD, COMPLEX_PER_WORD = 1.5, 2.5
"""Letters of Chinese and Japanese, and of Thai, Lao, Khmer and Burmese, that count as one word where a rule asks for a
number of words in a row. The words of these languages are longer (some 1.7 and 3.5 letters to an English word); with
less, a rule for long quotations is about as strict as in English without missing short ones (ours)."""


def fold(text: str) -> str:
    """Return a text for comparison: without differences in case, width, composition and invisible characters."""
    if text.isascii():
        return text.lower()
    return _INVISIBLE.sub("", normalize("NFKC", text).casefold())


def normal(text: str) -> str:
    """Return a text for comparison as a whole: folded, with single spaces."""
    return " ".join(fold(text).split())


def words(text: str) -> list[str]:
    """Return the words of a text, folded, without what stands between them."""
    folded = fold(text)
    if folded.isascii():
        return _ASCII_WORDS.findall(folded)
    if not _BEYOND_LATIN.search(folded):
        return _LATIN_WORDS.findall(folded)
    found: list[str] = _ANY_WORDS.findall(folded)
    return found


def tokens(text: str) -> list[str]:
    """Return the words of a text, folded, and the single marks between them."""
    found: list[str] = _TOKENS.findall(fold(text))
    return found


def pieces(text: str) -> list[str]:
    """Return the words of a text as they are written, each with the marks that touch it.

    A piece is the text between two spaces, and in scripts without spaces each letter. `join` puts them together.
    """
    if text.isascii():
        return text.split()
    return [piece for part in text.split() for piece in _PIECES.findall(part)]


def word_set(text: str) -> frozenset[str]:
    """Return the set by which two texts are compared regardless of order: words, and in scripts without spaces, where
    different texts share most letters, sequences of two letters (three in Thai, Lao, Khmer and Burmese)."""
    found = words(text)
    if text.isascii() or not _UNSPACED_LETTER.search(text):
        return frozenset(found)
    size = 3 if _COMPLEX_LETTER.search(text) else 2
    runs = (part for unspaced, part in groupby(found, _unspaced) if unspaced)
    letters = ("".join(run) for run in runs)
    grams = {run[at : at + size] for run in letters for at in range(max(1, len(run) - size + 1))}
    return frozenset(word for word in found if not _unspaced(word)) | grams


def _unspaced(word: str) -> bool:
    return _UNSPACED_LETTER.match(word) is not None


def join(parts: Sequence[str]) -> str:
    """Return pieces as one text: with a space between two, unless both are of a script without spaces."""
    joined = " ".join(parts)
    if joined.isascii() or not _UNSPACED_LETTER.search(joined):
        return joined
    unspaced = [_UNSPACED_LETTER.search(part) is not None for part in parts]
    gaps = ["" if left and right else " " for left, right in pairwise(unspaced)]
    return "".join(part + gap for part, gap in zip(parts, [*gaps, ""], strict=True))


def in_a_row(given: Sequence[str], count: int) -> int:
    """Return the number of the given words that counts as `count` words of a script with spaces.

    It is `count` itself for English, and larger by the share of letters that count as less than a word.
    """
    text = "".join(given)
    if not given or text.isascii():
        return count
    cjk = len(_CJK_LETTER.findall(text))
    other = sum(_COMPLEX_LETTER.match(word) is not None for word in given) if cjk < len(given) else 0
    more = (CJK_PER_WORD - 1) * cjk + (COMPLEX_PER_WORD - 1) * other
    return round(count * (1 + more / len(given)))
