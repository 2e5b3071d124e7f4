"""Every rejection of a text says what was found and what the limit was."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askback.corpus.filters import HEADER_RULES, TEXT_RULES, other_language, other_licence, text_rule, word_list
from askback.recipe import Corpus

SENTENCE = "Cut 22 apples + 3 pears and keep the PEEL."
TWICE = "one two three four five six seven eight nine ten"
ALMOST = "one two three four five six seven eight nine eleven"

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], tuple[str, str]]] = {
    "too-short": ("x" * 599, {"min_chars": 599}, {"min_chars": 600}, ("599", "600")),
    "too-long": ("x" * 701, {"max_chars": 701}, {"max_chars": 700}, ("701", "700")),
    "no-prose": (f"{SENTENCE}\nApples", {"min_prose": 0.85}, {"min_prose": 0.86}, ("85.7%", "86.0%")),
    "capitals": (SENTENCE, {"max_capital_share": 0.18}, {"max_capital_share": 0.17}, ("17.9%", "17.0%")),
    "symbols": (SENTENCE, {"max_symbol_share": 0.04}, {"max_symbol_share": 0.02}, ("3.0%", "2.0%")),
    "digits": (SENTENCE, {"max_digit_share": 0.1}, {"max_digit_share": 0.09}, ("9.1%", "9.0%")),
    "unfinished": ("It goes on and", {}, {"finished": True}, ("'It goes on and'", "wanted the end of a sentence")),
    "personal-voice": (
        f"I know. {SENTENCE}",
        {"max_personal_share": 0.5},
        {"max_personal_share": 0.49},
        ("50.0%", "49.0%"),
    ),
    "reinstruct-style": ("Ready? Sure?", {}, {"reinstruct_style": True}, ("2 question marks", "at most 1 ")),
    "repeated-sentences": (
        f"{TWICE}. {ALMOST}.",
        {"repeat_jaccard": 0.8},
        {"repeat_jaccard": 0.77},
        ("0.78", "0.77"),
    ),
    "leans-on-others": ("See above.", {}, {"standalone": True}, ("speaks of 'See above'", "")),
}
"""Text, options with which it passes the rule, options with which it does not, and what is then said."""


def given(**changed: Any) -> Corpus:
    sources = {"sources": [{"format": "installed-docs"}]}
    return Corpus.model_validate({**sources, "min_chars": 1, "min_prose": 0, **changed})


def test_every_text_rule_is_looked_at() -> None:
    assert CASES.keys() == TEXT_RULES.keys()


@pytest.mark.parametrize("rule", CASES)
def test_value_and_limit(rule: str) -> None:
    text, passes, breaks, said = CASES[rule]
    assert TEXT_RULES[rule](text, given(**passes)) is None
    detail = TEXT_RULES[rule](text, given(**breaks))
    assert detail and said[0] in detail and said[1] in detail.replace(said[0], "", 1)


def test_links() -> None:
    assert text_rule("x" * 40, lambda: 10, given(max_link_share=0.25, languages=[], repeat_jaccard=None)) is None
    found = text_rule("x" * 40, lambda: 11, given(max_link_share=0.25))
    assert found == ("links", "27.5% of the text stood in links, at most 25.0% wanted")


def test_the_others(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("apples")
    rules: list[tuple[Callable[[str, Corpus], str | None], str, Corpus, tuple[str, str]]] = [
        (other_language, "de", given(), ("'de'", "en")),
        (other_licence, "MIT", given(licences=["CC0*"]), ("'MIT'", "CC0*")),
        (word_list, SENTENCE, given(word_lists=[{"path": str(tmp_path / "words.txt")}]), ("1 hit(s) in 9", "0.00%")),
    ]
    for rule, value, options, said in rules:
        detail = rule(value, options)
        assert detail and all(one in detail for one in said), detail


@pytest.mark.parametrize(
    ("rule", "header", "said"),
    [
        ("empty-header", "***", "header '***', 0 letters and digits, at least 1 wanted"),
        ("capital-header", "FAQ 2", "header 'FAQ 2', 3 of 3 letters are capitals, fewer wanted"),
        ("navigation-header", "See also", "header 'See also', navigation words 'see also', none wanted"),
    ],
)
def test_headers(rule: str, header: str, said: str) -> None:
    assert HEADER_RULES[rule](header) == said
