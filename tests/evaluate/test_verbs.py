"""The verb and the noun of an instruction, by rules; what was not understood is not counted as found."""

import pytest

from askback.evaluate.verbs import count_verbs, verb_noun
from askback.text.verbs import verbs


@pytest.mark.parametrize(
    ("instruction", "found"),
    [
        ("Write a short story about a dragon.", ("write", "story")),
        ("Could you please give me three ideas for dinner?", ("give", "idea")),
        ("I'd like you to summarise the following article: ...", ("summarise", "article")),
        ("Help me write an email to my landlord", ("write", "email")),
        ("Translate this sentence into French", ("translate", "sentence")),
        ("List the capital cities of Europe", ("list", "city")),
        ("Please describe Newton's law of cooling", ("describe", "law")),
        ("What is the capital of France?", None),
        ("Explain how photosynthesis works", None),
        ("Tell me", None),
        ("The dog barked", None),
        ("", None),
    ],
)
def test_pairs(instruction: str, found: tuple[str, str] | None) -> None:
    assert verb_noun(instruction, verbs()[0]) == found


def test_counts_with_their_coverage() -> None:
    asked = [
        "Write a story.",
        "Write a poem.",
        "Write stories",
        "Give an example.",
        "Why?",
        "How so?",
        "Hm.",
        "Who is it?",
    ]
    found = count_verbs(verb_noun(one, verbs()[0]) for one in asked)
    assert found.by == "rules"
    assert (found.coverage, found.distinct) == (0.5, 3)
    assert found.top == [("write", 3, [("story", 2), ("poem", 1)]), ("give", 1, [("example", 1)])]
    assert count_verbs([]).coverage == 0
