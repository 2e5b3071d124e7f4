"""How much of a segment is of one kind of character, or in links (ours; the paper has no such rules).

Each share is off at 1. Code is not looked at, as in it capitals, symbols and digits say nothing.
"""

from unicodedata import category

from askback.recipe import Corpus
from askback.text.prose import without_code

_ORDINARY = frozenset(".,;:!?'\"’‘“”()-–—«»‹›„‚¿¡、。，．：；！？「」『』（）【】《》〈〉・،؛؟۔।॥־׳״\u200c\u200d")
"""Punctuation of ordinary text; what is neither this nor a letter, its vowel sign or accent, digit or space is a symbol."""


def capitals(text: str, options: Corpus) -> str | None:
    """Rule "capitals": more than `max_capital_share` of the letters are capitals. English prose has 2 to 5 %.

    The paper looks at "the proportion of capitalised letters in the header" (v1); this is its like for the text.
    """
    limit = options.max_capital_share
    if limit >= 1:
        return None
    letters = [character for character in without_code(text) if character.isalpha()]
    share = sum(map(str.isupper, letters)) / max(len(letters), 1)
    return _over(share, limit, "of the letters are capitals")


def symbols(text: str, options: Corpus) -> str | None:
    """Rule "symbols": more than `max_symbol_share` of the characters, spaces apart, are symbols.

    After Gopher, which counts # and ellipses a word; here every character that is no letter, vowel sign, digit or
    punctuation of ordinary text counts, so formulas, tables and broken encodings do.
    """
    limit = options.max_symbol_share
    if limit >= 1:
        return None
    shown = [character for character in without_code(text) if not character.isspace()]
    others = (character for character in shown if not character.isalnum() and character not in _ORDINARY)
    found = sum(not category(character).startswith("M") for character in others)
    return _over(found / max(len(shown), 1), limit, "of the characters are symbols")


def digits(text: str, options: Corpus) -> str | None:
    """Rule "digits": more than `max_digit_share` of the characters, spaces apart, are digits: price lists, results."""
    limit = options.max_digit_share
    if limit >= 1:
        return None
    shown = [character for character in without_code(text) if not character.isspace()]
    return _over(sum(map(str.isdigit, shown)) / max(len(shown), 1), limit, "of the characters are digits")


def links(text: str, linked: int, options: Corpus) -> str | None:
    """Rule "links": more than `max_link_share` of the text stood inside links: an index, a menu, "related pages".

    Args:
        text: the segment.
        linked: how many of its characters stood inside links on the page (`Section.linked`).
        options: hold the limit.
    """
    limit = options.max_link_share
    return _over(min(linked / max(len(text), 1), 1.0), limit, "of the text stood in links") if limit < 1 else None


def _over(share: float, limit: float, what: str) -> str | None:
    return f"{share:.1%} {what}, at most {limit:.1%} wanted" if share > limit else None
