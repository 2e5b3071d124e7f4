"""The language a text is in (method.md 1.4)."""

from functools import lru_cache
from typing import Any

from askback.text.prose import without_code

LANGUAGE_CHARS = 600
"""Number of characters of a segment from which its language is detected."""

ENGLISH_ALONE = {
    "the", "and", "that", "this", "these", "those", "with", "from", "what", "which", "how", "when", "should",
    "would", "you", "your", "they", "their",
}  # fmt: skip
"""Words that no other language has in this spelling."""
ENGLISH = ENGLISH_ALONE | {
    "of", "to", "in", "is", "for", "it", "as", "on", "are", "be", "by", "or", "an", "at", "have", "has", "had",
    "not", "can", "will", "who", "we", "our", "been", "were", "if", "into", "than", "there", "each", "other", "use",
    "using", "make",
}  # fmt: skip
PLAINLY_ENGLISH = 0.2
"""Smallest share of words in `ENGLISH` at which a text is English without asking the classifier, which takes as long as
all other work. In other languages, at most one word in ten is spelled like one of these."""


def language(text: str) -> str:
    """Return the two-letter code of the text's language, detected without blocks of code."""
    prose = without_code(text)
    prose = (prose if prose.strip() else text)[:LANGUAGE_CHARS]
    words = prose.lower().split()
    if len(words) >= 50 and sum(map(ENGLISH.__contains__, words)) >= PLAINLY_ENGLISH * len(words):
        return "en"
    return str(_identifier().classify(prose)[0])


def plainly_english(text: str) -> bool:
    """Return whether a short text has two words of `ENGLISH_ALONE`, as three in four English instructions do.

    A text in another language may have them in a quotation, so False is no proof of another language, nor True of English.
    """
    return len(ENGLISH_ALONE.intersection(text.lower().split())) >= 2


def certain_language(text: str) -> tuple[str, float]:
    """Return the two-letter code of a short text's language and the classifier's probability of it."""
    code, probability = _identifier(True).classify(text)
    return str(code), float(probability)


@lru_cache
def _identifier(probabilities: bool = False) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=probabilities)
