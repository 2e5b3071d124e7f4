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
    ],
)
def test_headers_that_only_hold_our_words_stay(header: str) -> None:
    assert navigation_header(header) is None
