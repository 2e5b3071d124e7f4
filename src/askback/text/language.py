"""The language a text is in (method.md 1.4)."""

from functools import lru_cache
from typing import Any

from askback.text.prose import without_code

LANGUAGE_CHARS = 600
"""So much of a segment is looked at for its language."""

ENGLISH_ALONE = {
    "the", "and", "that", "this", "these", "those", "with", "from", "what", "which", "how", "when", "should",
    "would", "you", "your", "they", "their",
}  # fmt: skip
"""Words that no other language spells so."""
ENGLISH = ENGLISH_ALONE | {
    "of", "to", "in", "is", "for", "it", "as", "on", "are", "be", "by", "or", "an", "at", "have", "has", "had",
    "not", "can", "will", "who", "we", "our", "been", "were", "if", "into", "than", "there", "each", "other", "use",
    "using", "make",
}  # fmt: skip
PLAINLY_ENGLISH = 0.2
"""Share of a text's words among these from which it needs no classifier, which costs as much as all other work together. Of
other languages' words, at most one in ten is spelled like one of these."""


def language(text: str) -> str:
    """Return the two-letter code of the text's language; code is not looked at."""
    prose = without_code(text)
    prose = (prose if prose.strip() else text)[:LANGUAGE_CHARS]
    words = prose.lower().split()
    if len(words) >= 50 and sum(map(ENGLISH.__contains__, words)) >= PLAINLY_ENGLISH * len(words):
        return "en"
    return str(_identifier().classify(prose)[0])


def plainly_english(text: str) -> bool:
    """Tell whether a short text has two words that are `ENGLISH_ALONE`, as three in four English instructions do.

    A text in another language has them where it quotes English, as a title: so this can excuse a text, not convict it.
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
