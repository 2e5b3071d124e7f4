"""Each rule at its limit."""

import itertools
import random

import pytest

from askback.config import Corpus
from askback.corpus import filters


def test_length_bounds_are_inclusive(options: Corpus) -> None:
    assert filters.too_short("x" * 599, options) == "599 characters, at least 600 wanted"
    assert filters.too_short("x" * 600, options) is None
    assert filters.too_long("x" * 3000, options) is None
    assert filters.too_long("x" * 3001, options) == "3001 characters, at most 3000 wanted"


@pytest.mark.parametrize(("header", "dropped"), [("", True), ("—", True), ("?", True), ("7", False), ("é", False)])
def test_empty_headers(header: str, dropped: bool) -> None:
    assert (filters.empty_header(header) is not None) is dropped


@pytest.mark.parametrize(
    ("header", "dropped"),
    [
        ("NEWS", True),
        ("UP 2 DATE!", True),
        ("A", False),
        ("A.", False),
        ("AB", True),
        ("iPHONE", False),
        ("日本", False),
    ],
)
def test_capital_headers(header: str, dropped: bool) -> None:
    assert (filters.capital_header(header) is not None) is dropped


@pytest.mark.parametrize(
    "header",
    [
        *("Advertisement", "Our FORUM rules", "Quick Links", "Get the free newsletter now"),  # the paper's, anywhere
        *("Related", "Related posts:", "Share this", "12 Comments", "Leave a comment", "Table of Contents", "See also"),
    ],
)
def test_navigation_headers(header: str) -> None:
    assert filters.navigation_header(header) is not None


@pytest.mark.parametrize(
    "header",
    [
        "Market share",
        "Related work in physics",
        "How to comment code",
        "Platforms",
        "The contents of a cell",
        "Searching",
    ],
)
def test_headers_that_only_hold_our_words_stay(header: str) -> None:
    assert filters.navigation_header(header) is None


WORDS = [f"word{number}" for number in range(15)]


def repeated(first: list[str], second: list[str], n: int, limit: float) -> bool:
    options = Corpus.model_validate(
        {"sources": [{"format": "installed-docs"}], "repeat_ngram": n, "repeat_jaccard": limit}
    )
    text = f"{' '.join(first)}. Something else stands between the two of them here. {' '.join(second)}."
    return filters.repeated_sentences(text, options) is not None


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
        return filters.repeated_sentences(text, options) is not None

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
        assert (filters.repeated_sentences("\n".join(sentences), options) is not None) is expected
        found += expected
    assert 50 < found < 350


def test_lists_of_names_are_no_prose() -> None:
    sentence = "This is a sentence of forty characters."
    names = "- Name of a thing\n" * 4
    assert filters.no_prose(sentence) is None
    assert filters.no_prose(names) == "0% of the text is prose, at least 30% wanted"
    assert filters.no_prose(f"{sentence}\n{names}") is None  # 39 of 112 characters
    assert filters.no_prose(f"{sentence}\n{names}- Another name\n- Another name") is not None  # 39 of 141
    assert filters.no_prose("word " * 20) is None
    assert filters.no_prose("| a cell | " * 20) is not None


ENGLISH = "Put the flour in a bowl and stir it with the sugar until there are no lumps in it. " * 5
OTHERS = {
    "de": "In der Mitte des Raumes war ein Tisch, an dem wir oft saßen und bis in den Abend hinein redeten. " * 4,
    "nl": "Het was een mooie dag en we liepen door het bos, want het is daar in de zomer altijd erg stil. " * 4,
    "fr": "Mettez la farine dans un bol et mélangez-la avec le sucre, on obtient une pâte lisse et claire. " * 4,
    "es": "El tren sale a las nueve de la mañana y llega a la ciudad a las doce, si no hay problemas hoy. " * 4,
    "da": "Der er for mange biler i byen, og vi kan ikke komme over vejen, før lyset bliver grønt igen. " * 4,
}


@pytest.mark.parametrize(("code", "text"), [("en", ENGLISH), ("en", "A short English text."), *OTHERS.items()])
def test_languages(code: str, text: str) -> None:
    assert filters.language(text) == code


def test_the_language_of_code_is_not_asked() -> None:
    code = "```\n" + "der die das und nicht für ist von mit\n" * 30 + "```\n"
    assert filters.language(code + ENGLISH) == "en"


def test_only_wanted_languages_stay(options: Corpus) -> None:
    assert filters.other_language("en", options) is None
    assert filters.other_language("de", options) == "language 'de', wanted en"
