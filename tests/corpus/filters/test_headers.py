"""Rules on headers."""

import pytest

from askback.corpus.filters.headers import capital_header, empty_header, navigation_header


@pytest.mark.parametrize(("header", "dropped"), [("", True), ("—", True), ("?", True), ("7", False), ("é", False)])
def test_empty_headers(header: str, dropped: bool) -> None:
    assert (empty_header(header) is not None) is dropped


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
    assert (capital_header(header) is not None) is dropped


@pytest.mark.parametrize(
    "header",
    [
        *("Advertisement", "Our FORUM rules", "Quick Links", "Get the free newsletter now"),  # the paper's, anywhere
        *("Related", "Related posts:", "Share this", "12 Comments", "Leave a comment", "Table of Contents", "See also"),
        *("Changelog", "What's new", "MIT License", "Contributors", "1.4.0 (2019-11-29)", "v2.14.3", "Version 2.0"),
    ],
)
def test_navigation_headers(header: str) -> None:
    assert navigation_header(header) is not None


@pytest.mark.parametrize(
    "header",
    [
        "Market share",
        "Related work in physics",
        "How to comment code",
        "Platforms",
        "The contents of a cell",
        "Searching",
        "3.2 HTTP",
        "10.5 million people",
        "History",
        "2.1 - Installation",
    ],
)
def test_headers_that_only_hold_our_words_stay(header: str) -> None:
    assert navigation_header(header) is None
