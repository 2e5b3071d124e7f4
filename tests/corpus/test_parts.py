"""Long texts are cut at the ends of paragraphs; copies of paragraphs go."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.corpus.parts import paragraphs, parts, without_copies

A, B, C = (
    ("Alder wood burns fast. " * 4).strip(),
    ("Birch bark lights in rain. " * 4).strip(),
    "Cedar keeps moths away.",
)


def test_parts_are_as_long_as_they_can_be() -> None:
    text = f"{A}\n\n{B}\n\n{C}"
    assert parts(text, len(text)) == [text]
    assert parts(text, len(text) - 1) == [f"{A}\n\n{B}", C]
    assert parts(text, len(A) + 1) == [A, B, C]


@pytest.mark.parametrize(
    "whole",
    [
        "- one\n- two\n\n- three after a blank line",
        "1. one\n\n   more of one\n\n2. two",
        "```\nfirst = 1\n\nsecond = 2\n\n\nthird = 3\n```",
        "| a | b |\n| --- | --- |\n| c | d |",
        "### A header\n\nIts text.",
        "What is needed:\n\n- an axe\n- a stone",
        "**Does alder burn?**\n\nIt does.",
        "```\nnever closed\n\nto the end",
    ],
)
@pytest.mark.parametrize("before", ["", f"{A}\n\n"])
def test_nothing_is_cut_in_two(whole: str, before: str) -> None:
    assert parts(before + whole, 20) == [*([A] if before else []), whole]


@given(
    st.lists(st.sampled_from([A, B, C, "- one", "## H", "```\nx\n\ny\n```", "So:"]), min_size=1), st.integers(10, 300)
)
def test_parts_together_are_the_text(paragraphs: list[str], most: int) -> None:
    text = "\n\n".join(paragraphs)
    found = parts(text, most)
    assert "\n\n".join(found) == text
    for one, two in pairwise(found):
        first = parts(two, 1)[0]
        assert len(one) + 2 + len(first) > most


def test_copies_go_the_first_of_them() -> None:
    quoted = f"> {A}"
    assert without_copies(f"{quoted}\n\n{A} {C}\n\n{B}") == f"{A} {C}\n\n{B}"
    assert without_copies(f"{A}\n\n{B}\n\n{A}") == f"{B}\n\n{A}", "one of them stays"


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n\n{B}",
        f"{A} {C}\n\n{A} {B}",
        "Explain why.\n\nOne.\n\nExplain why.",
        f"```\n{A}\n```\n\n```\n{A}\n```",
        "## A\n\n## A",
    ],
)
def test_what_is_no_copy_stays(text: str) -> None:
    assert without_copies(text) == text


def test_code_in_a_quotation_keeps_its_copy() -> None:
    code = "> ```\n> sudo apt-get install --yes build-essential libssl-dev zlib1g-dev\n> ```"
    text = f"{code}\n\nand again\n\n{code}\n\nend."
    assert without_copies(text) == text


def test_code_ends_at_its_own_fence() -> None:
    longer = "````\n```\n\nx\n````"
    assert list(paragraphs(f"{longer}\n\nafter.\n\nend.")) == [longer, "after.", "end."]
    quoted = "> ```python\n> a\n>\n> b\n> ```"
    assert list(paragraphs(f"{quoted}\n\n```one``` is code.\n\nend.")) == [quoted, "```one``` is code.", "end."]
    assert list(paragraphs("one.\n\n```\na\n\nb")) == ["one.", "```\na\n\nb"]
