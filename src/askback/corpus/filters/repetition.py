"""Repeated sentences within a segment (method.md 1.4)."""

import re
from collections import Counter

from askback.recipe import Corpus
from askback.text.endings import PHRASE_SPACE
from askback.text.prose import without_code

_MARKS = "> -*+#:0123456789.)"
_ENDED = ("! ", "? ", '." ', ".” ", ".) ", '?" ', "?” ")


_OTHER_ENDS = re.compile(rf"[。！？｡۔।॥։።፧။៕។༎][」』”’）]?|[؟] |{PHRASE_SPACE}")
_PAIR = re.compile(r"([\u3040-\u30ff\u3400-\u9fff]{1,2}|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]{1,4})(?=[^\s.])")
"""Chinese and Japanese have no spaces: two characters count as a word, or what is left of a run; in Thai, Lao, Burmese and
Khmer, four."""

TINY = 1e-9  # a product of floats may be this much above the whole number it stands for


def sentences(text: str) -> list[str]:
    """Return the sentences of a segment; the marks of lists and headers before them are removed.

    Code and tables are left out. A line break ends a sentence, and so does a full stop, question or exclamation mark
    with a space after it; a Chinese or Japanese one needs none, and there two characters count as a word, in Thai four.
    """
    text = without_code(text)
    for end in _ENDED:
        if end in text:
            text = text.replace(end, ". ")
    if not text.isascii():
        text = _PAIR.sub(r"\1 ", _OTHER_ENDS.sub(". ", text))
    lines = [line.lstrip(_MARKS) for line in text.split("\n") if line and line[0] != "|"]
    return [sentence for line in lines for sentence in line.rstrip('.!?”" ').split(". ") if sentence]


def repeated_sentences(text: str, options: Corpus) -> str | None:
    """Rule "repeated-sentences": two sentences share too many word n-grams.

    The paper drops segments by the Jaccard similarity of n-grams over all pairs of sentences, and gives neither n nor
    the limit; ours are `repeat_ngram` (3) and `repeat_jaccard` (0.8; null is off). A word is what stands between
    spaces, in lower case. A sentence of n different n-grams or fewer is never a repetition, ours too: short ones
    recur in good text ("Explain your answer."). The result is that of comparing all pairs; but a sentence that has
    too many n-grams found nowhere else in the text to reach the limit is not compared.
    """
    n, limit = options.repeat_ngram, options.repeat_jaccard
    if limit is None:
        return None
    words = [*" \n ".join(sentences(text.lower())).split(" "), "\n"]
    grams = list(zip(*[words[start:] for start in range(n)], strict=False))
    least = max(limit * (n + 1) - TINY, 1)
    if len(grams) - len(set(grams)) < least:  # of two sentences alike, the second repeats at least that many
        return None
    common = {gram for gram, count in Counter(grams).items() if count > 1}
    if len(common) < least:
        return None
    compared: list[set[tuple[str, ...]]] = []
    start = 0
    while start < len(words):
        end = words.index("\n", start)
        mine = set(grams[start : end - n + 1]) if end - start >= 2 * n else set()
        if len(mine) > n and len(mine & common) >= limit * len(mine) - TINY:
            for other in compared:
                shared = len(mine & other)
                similarity = shared / (len(mine) + len(other) - shared)
                if shared and similarity >= limit:
                    return f"similarity {similarity:.2f}, limit {limit}: {' '.join(words[start:end])[:80]!r}"
            compared.append(mine)
        start = end + 1
    return None
