"""Shares of characters and of links, each at its limit."""

from askback.corpus.filters.shares import capitals, digits, links, symbols
from askback.recipe import Corpus
from tests.corpus.filters.conftest import Given


def test_capitals_of_letters(given: Given) -> None:
    text = "AB cdefgh 12!"  # 2 of 8 letters
    assert capitals(text, given(max_capital_share=0.25)) is None
    said = "25.0% of the letters are capitals, at most 24.0% wanted"
    assert capitals(text, given(max_capital_share=0.24)) == said
    assert capitals("```\nABCD\n```\nabcd", given(max_capital_share=0)) is None
    assert capitals("日本 12", given(max_capital_share=0)) is None


def test_symbols_of_characters(given: Given) -> None:
    text = "ab, c # d"  # 1 of 6
    assert symbols(text, given(max_symbol_share=0.17)) is None
    said = "16.7% of the characters are symbols, at most 16.0% wanted"
    assert symbols(text, given(max_symbol_share=0.16)) == said
    assert symbols("Who's “there” (now)? I - we!", given(max_symbol_share=0)) is None
    assert symbols("a © b", given(max_symbol_share=0.3)) is not None  # 1 of 3


def test_digits_of_characters(given: Given) -> None:
    text = "in 2024 so."  # 4 of 9
    assert digits(text, given(max_digit_share=0.45)) is None
    assert digits(text, given(max_digit_share=0.44)) == "44.4% of the characters are digits, at most 44.0% wanted"


def test_links_of_the_text(given: Given) -> None:
    assert links("x" * 40, 10, given(max_link_share=0.25)) is None
    assert links("x" * 40, 11, given(max_link_share=0.25)) == "27.5% of the text stood in links, at most 25.0% wanted"
    assert links("x", 9, given(max_link_share=0.99)) == "100.0% of the text stood in links, at most 99.0% wanted"


def test_all_are_off_at_first(options: Corpus) -> None:
    for rule in (capitals, symbols, digits):
        assert rule("AB#12", options) is None and rule("", options) is None
    assert links("x", 1, options) is None
