"""Ends of texts and marks of lines: rules that documents and answers share."""

import re

MARK = re.compile(r"[> \t]*(?:#{1,6} +|[-*+:] +|\d+[.)] +)?")
"""Pattern of the marks of a list, a quotation or a header at the beginning of a line."""
SENTENCE_CHARS = 28
"""Smallest width of a sentence (`width`)."""
QUESTIONS = "?？؟\u037e՞፧⸮"
"""Question marks, the Greek and the Ethiopic among them."""
FINAL = tuple(".!?。！？｡؟۔।॥։።፧။៕។༎\u037e")
"""Ends of sentences: Latin, Chinese and Japanese, Arabic and Urdu, Indic, Armenian, Ethiopic, Burmese, Khmer, Tibetan,
Greek."""
_NO_FULL_STOP = "\u0e00-\u0eff"
PHRASE_SPACE = rf"(?<=[{_NO_FULL_STOP}]{{8}})[ \t]+(?=[{_NO_FULL_STOP}])"
"""A pattern of the space that ends a sentence or a phrase in Thai and Lao, which have no full stop; not after fewer than
8 characters, which are no sentence."""
_ENDS_WITHOUT = re.compile(rf"[{_NO_FULL_STOP}]$")
CLOSING = "”’“‘»«›‹\"')]」』）】》*_` "
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_GOES_ON = re.compile(r"(?:\.\.\.|…|[,;:–—，、；：،؛-]|\b(?:and|or|but|the))$", re.IGNORECASE)


def width(text: str) -> int:
    """Return the number of characters, a Chinese, Japanese or Korean one, which says at least as much, counting as two."""
    return len(text) if text.isascii() else len(text) + len(_DENSE.findall(text))


def breaks_off(text: str) -> str | None:
    """Return the end of a text that breaks off, None for a complete text (ours).

    It breaks off if it ends with an ellipsis, a comma, colon or dash, or a word that cannot end a sentence; or if its last
    line is prose (no header, list item, table or code, and no shorter than a sentence) and ends without a full stop,
    question or exclamation mark, where its script has one. Brackets and quotation marks after that mark do not count.
    """
    last = text.rstrip().rpartition("\n")[2]
    ended = last.rstrip(CLOSING)
    if last.startswith("|") or not ended:
        return None
    mark = MARK.match(last)
    marked = mark is not None and bool(mark[0].strip())
    whole = marked or width(last) < SENTENCE_CHARS or ended.endswith(FINAL) or _ENDS_WITHOUT.search(ended)
    if _GOES_ON.search(ended) or not whole:
        return last[-40:]
    return None
