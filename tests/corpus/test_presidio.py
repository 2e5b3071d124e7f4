"""Presidio beside the patterns. Without the extra, only what is said then is tested."""

from importlib.util import find_spec

import pytest

from askback.corpus import cut, presidio
from askback.corpus.build import sources
from askback.corpus.pii import personal_data, redact, redactor
from askback.errors import MissingExtra
from askback.recipe import Corpus
from askback.records import Document

OPTIONS = Corpus.model_validate(
    {
        "sources": [{"format": "installed-docs"}],
        "min_chars": 1,
        "min_prose": 0,
        "pii_engine": "presidio",
        "pii": "redact",
    }
)
needed = pytest.mark.skipif(find_spec("presidio_analyzer") is None, reason="presidio-analyzer is not installed")


def test_the_patterns_are_the_default() -> None:
    assert redactor("x", OPTIONS.model_copy(update={"pii_engine": "patterns"})) is redact


@pytest.mark.skipif(find_spec("presidio_analyzer") is not None, reason="presidio-analyzer is installed")
def test_what_to_install_is_told_when_planning() -> None:
    empty = OPTIONS.model_copy(update={"sources": []})
    with pytest.raises(MissingExtra, match=r"pip install 'askback\[presidio\]'"):
        sources(empty)
    assert sources(empty.model_copy(update={"pii": "keep"})) == {}


@needed
@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("My social security number is 536-22-8726.", "My social security number is <US_SSN>."),
        ("Call my phone 020 7946 0958.", "Call my phone <PHONE>."),
        ("Pay to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.", "Pay to <CRYPTO>."),
        ("Of ann@home.org at 8.8.8.8, 00:1B:44:11:3A:B7.", "Of <EMAIL> at <IP>, <MAC_ADDRESS>."),
        ("See 192.168.0.1, ann@example.com and https://x.org in 1879, or 123456789.", ""),
    ],
)
def test_found_without_a_model(text: str, redacted: str) -> None:
    assert redactor(text, OPTIONS)(text)[0] == (redacted or text)


@needed
@pytest.mark.parametrize("language", ["de", "fr", "ja", "xx"])
def test_any_language(language: str) -> None:
    assert presidio.replace("a 00:1B:44:11:3A:B7 b", language) == ("a <MAC_ADDRESS> b", {"MAC_ADDRESS": 1})


@needed
def test_counted_and_dropped_as_with_the_patterns() -> None:
    page = Document("u", "<h1>A</h1><p>Of ann@home.org, 00:1B:44:11:3A:B7. It is a text of words.</p>", "html", "html")
    outcome = cut([page], OPTIONS)
    assert outcome.tallies == {"redacted email": 1, "redacted mac_address": 1}
    assert outcome.kept[0].text == "Of <EMAIL>, <MAC_ADDRESS>. It is a text of words."
    (dropped,) = cut([page], OPTIONS.model_copy(update={"pii": "drop"})).dropped
    assert (dropped.rule, dropped.detail) == ("personal-data", "email 1, mac_address 1, none wanted")


@needed
def test_of_a_text_far_too_long_only_what_is_kept_of_it_is_looked_at() -> None:
    text = "00:1B:44:11:3A:B7 " + "x " * OPTIONS.max_chars + "00:1B:44:11:3A:B7"
    redacted, counts = redactor("x", OPTIONS)(text)
    assert counts == {"MAC_ADDRESS": 1} and redacted.startswith("<MAC_ADDRESS> x") and redacted.endswith(":B7")
    assert personal_data(text[:20], redactor("x", OPTIONS)) == "mac_address 1, none wanted"


@needed
def test_names_take_a_model() -> None:
    if not presidio._model("en"):
        pytest.skip("no spaCy model of English is installed")
    redacted, counts = presidio.replace("My name is John Smith and I live in London.", "en")
    assert redacted == "My name is <PERSON> and I live in <LOCATION>." and counts == {"PERSON": 1, "LOCATION": 1}
