"""Which licences pass."""

import pytest

from askback.corpus.filters.licences import other_licence
from tests.corpus.filters.conftest import Given


@pytest.mark.parametrize(
    ("licence", "patterns"),
    [
        ("anything", []),
        ("", []),
        ("", ["*"]),
        ("", [""]),
        ("cc-by-4.0", ["CC-BY-*"]),
        ("https://creativecommons.org/licenses/by/4.0/", ["*creativecommons.org/licenses/by/*"]),
        ("GPL-3.0 OR MIT", ["MIT"]),
        ("MIT AND CC0-1.0", ["MIT", "CC0-*"]),
        ("GPL-2.0 AND MIT OR CC0-1.0", ["CC0-*"]),
    ],
)
def test_allowed(licence: str, patterns: list[str], given: Given) -> None:
    assert other_licence(licence, given(licences=patterns)) is None


@pytest.mark.parametrize(
    ("licence", "patterns"),
    [
        ("", ["MIT"]),
        ("CC-BY-SA-4.0", ["CC-BY-4*"]),
        ("https://creativecommons.org/licenses/by-sa/4.0/", ["*creativecommons.org/licenses/by/*"]),
        ("MIT AND GPL-3.0", ["MIT"]),
        ("(MIT OR GPL-3.0) AND GPL-2.0", ["MIT"]),
        ("MITX", ["MIT"]),
    ],
)
def test_not_allowed(licence: str, patterns: list[str], given: Given) -> None:
    assert other_licence(licence, given(licences=patterns)) == f"licence {licence!r}, allowed: {', '.join(patterns)}"
