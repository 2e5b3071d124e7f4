"""Whatever is read: no crash, nothing lost without a reason, no hang. A megabyte takes less than a second of CPU time."""

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from askback.corpus import cut
from askback.corpus.readers import documents
from askback.execution.outcome import Outcome
from askback.recipe import Corpus
from askback.records import Document
from tests.clock import ends_within

OPTIONS = Corpus.model_validate({"sources": [{"format": "html", "path": "x"}]})
MEGABYTE = 1_000_000
SECONDS = 8
"""On a busy machine a second of work takes a few of CPU time; what is wrong here takes minutes."""
TAGS = [
    "p",
    "div",
    "table",
    "tr",
    "td",
    "h1",
    "h2",
    "ul",
    "li",
    "pre",
    "code",
    "sup",
    "math",
    "msup",
    "form",
    "header",
    "a",
]
FRAGMENTS = [
    *(f"<{close}{tag}>" for tag in TAGS for close in ("", "/")),
    *("<", "<!--", "-->", "<a href=", "<div class=nav>", "<br>", "<select>", "<title>", "<meta charset=", "class='a-"),
    *("x", "word ", "\n", " ", "`", "```\n", "* ", "#", "&", "&amp;", "|", "é", "。", "\ud800", "\x00"),
    *("a@b.", "1 ", "+1 23", "AB12", "0:", ".", "I ", '"', "“"),
]


def cut_in_time(text: str, markup: Literal["html", "text"]) -> None:
    outcomes: list[Outcome[Any]] = []
    assert ends_within(SECONDS, lambda: outcomes.append(cut([Document("u", text, markup, "x")], OPTIONS)))
    assert outcomes[0].counts["documents"].entered == 1
    assert all(count.balanced() for count in outcomes[0].counts.values())


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.generate])  # to shrink takes minutes
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4), st.sampled_from(["html", "text"]))
def test_a_megabyte_of_anything(fragments: list[str], markup: Literal["html", "text"]) -> None:
    piece = "".join(fragments)
    cut_in_time(piece * (MEGABYTE // len(piece)), markup)


@pytest.mark.parametrize(
    "text",
    [
        "`" * MEGABYTE,
        "<table></table>" * (MEGABYTE // 15),
        "</header><ul>" * (MEGABYTE // 13),
        "<math></a>" * (MEGABYTE // 10),
        "<code>" * 900 + "some words " * (MEGABYTE // 11),
        "<span>" * 900 + "some words " * (MEGABYTE // 11),
        "x" * MEGABYTE + " 1<sup>2</sup>",
    ],
    ids=["ticks", "tables", "end tags of nothing", "formulas", "code in code", "spans", "a long word before a power"],
)
def test_what_was_once_slow(text: str) -> None:
    cut_in_time(text, "html")


HEADS = [b"", b"<meta charset=utf-8>", b"<meta charset=shift_jis>", b"<meta charset=utf-7>", b"<meta charset=none>"]


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(max_size=60),
    encoding=st.sampled_from(["utf-8", "utf-16", "cp1252", "shift_jis", "gb18030", "utf-7"]),
    head=st.sampled_from([*HEADS, b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]),
    rest=st.binary(max_size=60),
    levels=st.lists(st.integers(1, 6), max_size=8),
)
def test_any_encoding_bytes_and_headers(
    text: str, encoding: str, head: bytes, rest: bytes, levels: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = Path(tmp_path_factory.mktemp("page") / "x.html")
    headers = "".join(f"<h{level}>{text}</h{level}><p>{text}" for level in levels)
    path.write_bytes(head + headers.encode(encoding, "replace") + rest)
    read = list(documents(OPTIONS.sources[0], [path], OPTIONS))
    outcome = cut(read, OPTIONS)
    assert outcome.counts["documents"].entered == 1
    assert all(count.balanced() for count in outcome.counts.values())
    dropped = sum(count.rejected + count.failed for count in outcome.counts.values())
    assert sum(outcome.reasons.values()) == len(outcome.dropped) == dropped
