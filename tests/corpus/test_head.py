"""What pages say of themselves: licences and dates, and nothing that a page can hold breaks it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askback.corpus.readers.head import day, head, modified
from tests.clock import ends_within


def ld(*nodes: Any) -> str:
    return "".join(f'<script type="application/ld+json">{json.dumps(node)}</script>' for node in nodes)


@pytest.mark.parametrize(
    ("html", "licence"),
    [
        (ld({"@type": "Article", "license": "https://x/by"}), "https://x/by"),
        (ld({"@graph": [{"@type": "WebSite"}, {"@graph": [{"@type": "WebPage", "license": {"@id": "L"}}]}]}), "L"),
        (ld([{"@type": ["Article", "Report"], "license": [{"url": "A"}, "B"]}]), "A"),
        (ld({"@type": "ImageObject", "license": "picture"}, {"mainEntity": {"license": "page"}}), "page"),
        (ld({"image": {"license": "picture"}}), ""),
        ("<meta name='license' content='meta'>" + ld({"license": "ld"}), "meta"),
        ("<script type=application/ld+json>{broken</script>" + ld({"license": "next"}), "next"),
        (ld({"license": 7}), ""),
    ],
)
def test_licences_in_json_ld(html: str, licence: str) -> None:
    assert head(f"<head>{html}</head>").licence == licence


@pytest.mark.parametrize(
    ("html", "date"),
    [
        ("<meta property='article:published_time' content='2020-01-02T23:59:59-08:00'>", "2020-01-02"),
        ("<meta name='DC.Date' content='20200102'>", "2020-01-02"),
        (
            ld({"@type": "BlogPosting", "datePublished": "2020-01-02"}) + "<meta name=dc.date content=2019-01-01>",
            "2020-01-02",
        ),
        (
            "<meta property=article:published_time content=2018-01-01>" + ld({"datePublished": "2020-01-02"}),
            "2018-01-01",
        ),
        ("<meta name=dc.date content='last year'><time datetime='2020-01-02T10:00'>", "2020-01-02"),
        ("<time datetime=2020-01-02>a</time><time datetime='2020-01-02 12:00'>", "2020-01-02"),
        ("<time datetime=2020-01-02>a</time><time datetime='2020-01-03'>", ""),  # which of the two, nobody says
        ("<meta name=dc.date content='2020-02-31'>", ""),
        ("<meta name=dc.date content='0001-01-01'>", ""),
    ],
)
def test_dates(html: str, date: str) -> None:
    assert head(html).date == date


def test_days() -> None:
    assert day("2024-05-01 09:00") == "2024-05-01"
    assert day("202405011") == day("2024") == ""
    assert modified("Wed, 21 Oct 2015 07:28:00 GMT", "2024-01-01T00:00:00Z") == "2015-10-21"
    assert modified("Wed, 21 Oct 2015 07:28:00 GMT", "2015-10-21T09:00:00Z") == ""  # made on request
    assert modified("no date", "") == modified("", "") == ""


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["license", "datePublished", "@graph", "@type", "mainEntity", "url", "name"]), inner
            )
        ),
    )
)
def test_any_json_ld_is_survived(tree: Any) -> None:
    assert all(isinstance(part, str) for part in head(ld(tree)))


def test_odd_json_ld_takes_no_time() -> None:
    script = "<script type='application/ld+json'>"
    pages = (
        f"{script}{'[' * 100_000}</script>",
        script * 20_000,
        f"{script}{json.dumps({'@graph': [{'a': 1}] * 20_000})}</script>" * 20,
        "<script " * 100_000 + "ld+json",
        "<time " * 100_000,
    )
    assert ends_within(10, lambda: [head(html) for html in pages])


def test_a_title_that_is_one_long_number_is_survived() -> None:
    assert head(f"<title>&#{'1' * 5000};</title>").title
