"""ROUGE-L gives rouge_score's numbers, and its bit-parallel table the textbook's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.evaluate.rouge import common_words, rouge_l


@pytest.mark.parametrize(
    ("reference", "answer", "precision", "recall"),
    [  # as rouge_score 0.1.2 says without stemming
        ("The quick brown fox jumps over the lazy dog.", "A quick dog jumps over a brown fox.", 3 / 8, 3 / 9),
        ("It's 3.5 km_h to Paris, isn't it?", "Paris is 3 km away.", 2 / 5, 2 / 11),
        ("one two three four five six", "six five four three two one", 1 / 6, 1 / 6),
        ("same words", "Same, words!", 1, 1),
        ("", "something", 0, 0),
        ("something", "…", 0, 0),
    ],
)
def test_references(reference: str, answer: str, precision: float, recall: float) -> None:
    found = rouge_l(reference, answer)
    assert found.precision == pytest.approx(precision) and found.recall == pytest.approx(recall)
    both = precision + recall
    assert found.f1 == pytest.approx(2 * precision * recall / both if both else 0)


def textbook(left: list[str], right: list[str]) -> int:
    row = [0] * (len(right) + 1)
    for word in left:
        before = row
        row = [0]
        for at, other in enumerate(right):
            row.append(before[at] + 1 if word == other else max(before[at + 1], row[at]))
    return row[-1]


words = st.lists(st.sampled_from("abcd"), max_size=90)


@given(words, words)
def test_the_longest_common_subsequence(left: list[str], right: list[str]) -> None:
    assert common_words(left, right) == textbook(left, right)
