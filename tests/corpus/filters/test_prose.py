"""Prose and unfinished text."""

import pytest

from askback.corpus.filters.prose import no_prose, unfinished
from askback.recipe import Corpus
from tests.corpus.filters.conftest import Given


def test_lists_of_names_are_no_prose(options: Corpus) -> None:
    sentence = "This is a sentence of forty characters."
    names = "- Name of a thing\n" * 4
    assert no_prose(sentence, options) is None
    assert no_prose(names, options) == "0.0% of the text is prose, at least 30.0% wanted"
    assert no_prose(f"{sentence}\n{names}", options) is None  # 39 of 112 characters
    assert no_prose(f"{sentence}\n{names}- Another name\n- Another name", options) is not None  # 39 of 141
    assert no_prose("word " * 20, options) is None
    assert no_prose("| a cell | " * 20, options) is not None


def test_the_share_of_prose_is_an_option(given: Given) -> None:
    half = "x" * 80 + "\n" + "y\n" * 40  # 80 of 161 characters, 49.7 %
    assert no_prose(half, given(min_prose=0.49)) is None
    assert no_prose(half, given(min_prose=0.5)) == "49.7% of the text is prose, at least 50.0% wanted"
    assert no_prose("", given(min_prose=0)) is None


LINE = "Whoever reads this line gets to its"


@pytest.mark.parametrize(
    "text",
    [
        f"{LINE} end.",
        f"{LINE} end!)",
        f"{LINE} “end.”",
        f"{LINE} end.**",
        f"Wie heißt das?\n\n{LINE} 終わり。",
        f"{LINE} end.\n\n- a list item",
        f"{LINE} end.\n\n2. a list item of more than twenty-eight characters",
        f"{LINE} end.\n\n```py\nx = [\n```",
        f"{LINE} end.\n\n| a | cell of a table, and",
        f"{LINE} end.\n\nBy hand, A. Writer",  # 18 characters: no sentence
    ],
)
def test_finished_text(text: str, given: Given) -> None:
    assert unfinished(text, given(finished=True)) is None


@pytest.mark.parametrize(
    "text",
    [
        f"{LINE} en",
        f"{LINE} end…",
        f"{LINE} end...",
        f"{LINE} end [...]",
        f"{LINE} end:",
        f"{LINE} end.\n\n- a list item,",
        f"{LINE} end.\n\n- a list item and",
        f"{LINE} end.\n\nand",
        "x" * 28,
    ],
)
def test_unfinished_text(text: str, given: Given) -> None:
    said = unfinished(text, given(finished=True))
    assert said == f"ends with {text.rpartition(chr(10))[2][-40:]!r}, wanted the end of a sentence"
    assert unfinished(text, given()) is None


def test_a_line_of_27_characters_is_no_sentence(given: Given) -> None:
    assert unfinished("x" * 27, given(finished=True)) is None
