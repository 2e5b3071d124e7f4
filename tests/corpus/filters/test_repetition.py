"""Repeated sentences, at their limit."""

import itertools
import random

from askback.corpus.filters.repetition import repeated_sentences
from askback.recipe import Corpus

WORDS = [f"word{number}" for number in range(15)]


def repeated(first: list[str], second: list[str], n: int, limit: float) -> bool:
    options = Corpus.model_validate(
        {"sources": [{"format": "installed-docs"}], "repeat_ngram": n, "repeat_jaccard": limit}
    )
    text = f"{' '.join(first)}. Something else stands between the two of them here. {' '.join(second)}."
    return repeated_sentences(text, options) is not None


def test_repetition_at_its_limit() -> None:
    """11 words have 9 trigrams; another last word changes one of them: 8 are shared of 10, a similarity of 0.8."""
    first, second = WORDS[:11], [*WORDS[:10], "other"]
    assert repeated(first, second, 3, 0.8)
    assert not repeated(first, second, 3, 0.81)
    # Another first and last word: 7 of 11, 0.636.
    assert repeated(first, ["x", *second[1:]], 3, 0.63)
    assert not repeated(first, ["x", *second[1:]], 3, 0.64)
    # Another word in the middle changes three: 6 of 12, one half.
    middle = [*WORDS[:5], "other", *WORDS[6:11]]
    assert repeated(first, middle, 3, 0.5)
    assert not repeated(first, middle, 3, 0.51)
    # Single words: 10 of 12.
    assert repeated(first, middle, 1, 0.83)
    assert not repeated(first, middle, 1, 0.84)


def test_what_is_no_repetition(options: Corpus) -> None:
    def drops(text: str) -> bool:
        return repeated_sentences(text, options) is not None

    long = "This is the very same sentence again"
    assert drops(f"{long}. Another one. {long}!")
    assert drops(f"- {long}\n- something\n- {long.upper()}")
    assert drops(f"1. {long}\n\n> {long}")
    assert not drops("Explain your own answer. Then rest. Explain your own answer.")  # fewer than six words
    assert not drops(f"{long}.\n\n```\n{long}\n{long}\n```")
    assert not drops(f"| {long} |\n| --- |\n| {long} |")


def test_repetition_agrees_with_comparing_all_pairs(options: Corpus) -> None:
    """The shortcut is exact: on random texts it finds a repetition just when some pair is one."""
    draw = random.Random(0)
    found = 0
    for _ in range(400):
        words = draw.choices("abcdefgh", k=draw.randint(4, 16))
        changed = [word if draw.random() < 0.95 else "x" for word in words]
        others = [draw.choices("abcdefgh", k=draw.randint(1, 12)) for _ in range(4)]
        sentences = [" ".join(sentence) for sentence in draw.sample([words, changed, *others], k=6)]
        grams = [set(zip(*(s.split()[at:] for at in range(3)), strict=False)) for s in sentences]
        grams = [one for one in grams if len(one) > 3]
        expected = any(len(a & b) / len(a | b) >= 0.8 for a, b in itertools.combinations(grams, 2))
        assert (repeated_sentences("\n".join(sentences), options) is not None) is expected
        found += expected
    assert 50 < found < 350


def test_null_does_not_look() -> None:
    options = Corpus.model_validate({"sources": [{"format": "installed-docs"}], "repeat_jaccard": None})
    assert repeated_sentences("This is the very same sentence again. " * 9, options) is None
