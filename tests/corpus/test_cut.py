"""Documents → segments: which sections are offered, what takes the place of one that is rejected, and the counts."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from askback.corpus import cut
from askback.execution.outcome import Outcome
from askback.recipe import Corpus
from askback.records import Document, Provenance, Rejection, Segment, fail, record_id

SOURCE = {"sources": [{"format": "installed-docs"}]}
SMALL = Corpus.model_validate({**SOURCE, "min_chars": 40, "max_chars": 200, "languages": []})


def prose(name: str, sentences: int) -> str:
    """Distinct sentences of about 40 characters."""
    return " ".join(f"Sentence {name}{number} tells something on {name}." for number in range(sentences))


def page(html: str) -> Document:
    return Document("http://x/", html, "html", "warc", licence="CC0-1.0")


def rules(outcome: Outcome[Any]) -> Counter[str]:
    return Counter(rejection.rule for rejection in outcome.dropped)


def balanced(outcome: Outcome[Any]) -> bool:
    kept = [name for name in outcome.counts if not outcome.counts[name].balanced()]
    return not kept and len(outcome.kept) == (outcome.counts["segments"].kept if "segments" in outcome.counts else 0)


def test_a_section_that_fits_is_taken_whole() -> None:
    html = f"<h1>A</h1><p>{prose('a', 2)}</p><h2>B</h2><p>{prose('b', 2)}</p>"
    outcome = cut([page(html)], SMALL)
    (segment,) = outcome.kept
    text = f"{prose('a', 2)}\n\n## B\n\n{prose('b', 2)}"
    identity = record_id("http://x/", "A", text)
    assert segment == Segment(identity, text, ["A"], Provenance("http://x/", "warc", "CC0-1.0"))
    assert outcome.counts["segments"].entered == 1


def test_one_too_long_gives_way_to_its_lead_and_its_sections() -> None:
    html = f"<h1>A</h1><p>{prose('a', 3)}</p><h2>B</h2><p>{prose('b', 4)}</p><h2>C</h2><p>short</p>"
    outcome = cut([page(html)], SMALL)
    assert [(segment.header_path, segment.text) for segment in outcome.kept] == [
        (["A"], prose("a", 3)),
        (["A", "B"], prose("b", 4)),
    ]
    assert rules(outcome) == {"too-long": 1, "too-short": 1}
    assert outcome.counts["segments"].entered == 4


def test_bad_headers_give_way_but_navigation_does_not() -> None:
    html = f"<h1>SHOUTED</h1><h2>Calm</h2><p>{prose('a', 3)}</p><h1></h1><h2>B</h2><p>{prose('b', 3)}</p>"
    html += f"<h1>Related posts</h1><h2>C</h2><p>{prose('c', 3)}</p>"
    outcome = cut([page(html)], options_of(preset="paper"))
    assert [segment.header_path for segment in outcome.kept] == [["SHOUTED", "Calm"], ["SHOUTED", "B"]]
    assert rules(outcome) == {"capital-header": 1, "navigation-header": 1}


def test_text_without_headers_escapes_header_rules() -> None:
    outcome = cut([Document("u", prose("a", 3), "text", "text")], SMALL)
    assert [segment.header_path for segment in outcome.kept] == [[]]


def test_rules_in_order_and_the_language_is_noted() -> None:
    options = Corpus.model_validate({**SOURCE, "min_chars": 40, "max_chars": 2000})
    sentence = "This is a sentence that says the same as it did"
    documents = [
        page(f"<h1>A</h1><p>{sentence}. And then. {sentence}.</p>"),
        page("<h1>A</h1><ul>" + "<li>Thing one</li>" * 10 + "</ul>"),
        page("<h1>A</h1><p>Das ist ein deutscher Satz, der hier von niemandem gewollt ist und bald geht.</p>"),
        page(f"<h1>A</h1><p>{prose('the', 3)}</p>"),
    ]
    outcome = cut(documents, options)
    assert [rejection.rule for rejection in outcome.dropped] == ["repeated-sentences", "no-prose", "language"]
    assert [segment.provenance.language for segment in outcome.kept] == ["en"]
    assert all(rejection.uri == "http://x/" and rejection.detail and rejection.text for rejection in outcome.dropped)


def test_every_text_rule_can_speak() -> None:
    linked = f"<h1>A</h1><p>{prose('a', 2)} <a href='/'>{prose('b', 2)}</a></p>"
    rules_and_pages: dict[str, tuple[dict[str, Any], str]] = {
        "capitals": ({"max_capital_share": 0.02}, f"<h1>A</h1><p>{prose('a', 3)}</p>"),
        "symbols": ({"max_symbol_share": 0.0}, f"<h1>A</h1><p>{prose('a', 2)} 2 + 2.</p>"),
        "digits": ({"max_digit_share": 0.01}, f"<h1>A</h1><p>{prose('a', 3)}</p>"),
        "links": ({"max_link_share": 0.4}, linked),
        "unfinished": ({"finished": True}, f"<h1>A</h1><p>{prose('a', 2)} And then there was</p>"),
        "personal-voice": ({"max_personal_share": 0.3}, f"<h1>A</h1><p>I know. {prose('a', 1)}</p>"),
        "reinstruct-style": ({"reinstruct_style": True}, f"<h1>A</h1><p>{prose('a', 3)}</p>"),
        "personal-data": ({"pii": "drop"}, f"<h1>A</h1><p>{prose('a', 2)} Write to me@home.org.</p>"),
    }
    for rule, (changed, html) in rules_and_pages.items():
        assert len(cut([page(html)], SMALL).kept) == 1, rule
        outcome = cut([page(html)], Corpus.model_validate({**SMALL.model_dump(), **changed}))
        assert rules(outcome) == {rule: 1} and balanced(outcome)
        assert "wanted" in outcome.dropped[0].detail


def test_a_section_of_links_gives_its_place_to_those_below() -> None:
    text = f"# A\n\n[{prose('a', 2)}](/)\n\n## B\n\n{prose('b', 2)}"
    outcome = cut(
        [replace(page(text), markup="markdown")], Corpus.model_validate({**SMALL.model_dump(), "max_link_share": 0.3})
    )
    assert [segment.header_path for segment in outcome.kept] == [["A", "B"]]
    assert rules(outcome) == {"links": 1}


def test_without_header_rules_any_header_stays() -> None:
    options = Corpus.model_validate({**SMALL.model_dump(), "header_rules": "none"})
    outcome = cut([page(f"<h1>NEWS OF ALL</h1><p>{prose('a', 3)}</p>")], options)
    assert [segment.header_path for segment in outcome.kept] == [["NEWS OF ALL"]]


def test_documents_of_other_licences_are_not_read() -> None:
    options = Corpus.model_validate({**SMALL.model_dump(), "licences": ["CC-BY*"]})
    outcome = cut([page(f"<h1>A</h1><p>{prose('a', 3)}</p>")], options)
    assert [(drop.stage, drop.rule, drop.detail) for drop in outcome.dropped] == [
        ("documents", "licence", "licence 'CC0-1.0', allowed: CC-BY*")
    ]


def test_what_is_redacted_is_counted() -> None:
    options = Corpus.model_validate({**SMALL.model_dump(), "pii": "redact"})
    html = f"<h1>Of me@home.org</h1><p>{prose('a', 2)} Write to me@home.org or you@home.org from 8.8.8.8.</p>"
    (segment,) = (outcome := cut([page(html), page("<h1>B</h1><p>a@home.org</p>")], options)).kept
    assert segment.text == f"{prose('a', 2)} Write to <EMAIL> or <EMAIL> from <IP>."
    assert segment.header_path == ["Of <EMAIL>"] and segment.id == record_id("http://x/", "Of <EMAIL>", segment.text)
    assert outcome.tallies == {"redacted email": 2, "redacted ip": 1}, "of the segments kept"
    assert "home.org" not in outcome.dropped[0].text


def test_personal_data_in_title_or_path_drops_too() -> None:
    options = Corpus.model_validate({**SMALL.model_dump(), "pii": "drop"})
    html = f"<h1>{{}}</h1><h2>B</h2><p>{prose('a', 4)}</p>"
    plain, told = page(html.format("A")), page(html.format("Write to me@home.org"))
    assert cut([plain], options).kept
    assert not cut([told, replace(plain, title="me@home.org")], options).kept


def test_segments_that_quote_an_evaluation_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "eval.jsonl"
    file.write_text('{"prompt": "Which sentence tells us something on that?"}\n{"turns": ["What is up?", "x"]}\n')
    options = Corpus.model_validate({**SMALL.model_dump(), "decontaminate": [str(file)]})
    html = (
        f"<h1>A</h1><p>{prose('a', 2)} Which sentence tells us: something, on THAT?</p><h2>B</h2><p>{prose('b', 2)}</p>"
    )
    html += f"<h1>What is up</h1><p>{prose('c', 3)}</p><h1>What is up there</h1><p>{prose('d', 3)}</p>"
    outcome = cut([page(html)], options)
    assert [segment.header_path[-1] for segment in outcome.kept] == ["B", "What is up there"]
    assert [(drop.rule, drop.detail) for drop in outcome.dropped] == [
        (
            "contaminated",
            f"7 words in a row, all of it, as in {file}:1, none wanted: 'which sentence tells us something on that'",
        ),
        ("contaminated", f"is the prompt {file}:2, none wanted"),
    ]


def test_documents_are_counted_too() -> None:
    documents: list[Document | Rejection] = [
        page(""),
        page("<div>" * 100_000),
        fail("1", "documents", "broken-json", "x.jsonl:3", uri="x.jsonl#3"),
        page(f"<h1>A</h1>{prose('a', 3)}"),
    ]
    outcome = cut(documents, SMALL)
    documents_stage = outcome.counts["documents"]
    assert (documents_stage.entered, documents_stage.kept, documents_stage.rejected, documents_stage.failed) == (
        4,
        1,
        2,
        1,
    )
    assert rules(outcome) == {"no-sections": 1, "too-deep": 1, "broken-json": 1}
    assert balanced(outcome)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5)), max_size=25))
def test_counts_balance_and_no_sentence_is_in_two_segments(parts: list[tuple[int, int]]) -> None:
    html = ""
    for number, (level, size) in enumerate(parts):
        html += f"<h{level}>Header {number}</h{level}>" if level else "<div>"
        html += f"<p>{prose(f'p{number}q', size)}</p>" if size else ""
    outcome = cut([page(html)], SMALL)
    assert balanced(outcome)
    text = "\n".join(segment.text for segment in outcome.kept)
    for number, (_, size) in enumerate(parts):
        for sentence in range(size):
            assert text.count(f"Sentence p{number}q{sentence} ") <= 1
    assert len({segment.id for segment in outcome.kept}) == len(outcome.kept)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4), st.sampled_from(["html", "markdown", "text"]))
def test_any_bytes_are_cut(pages: list[bytes], markup: str) -> None:
    documents = [Document("u", data.decode("utf-8", "surrogateescape"), markup, "x") for data in pages]  # type: ignore[arg-type]
    options = Corpus.model_validate({**SOURCE, "min_chars": 1})
    outcome = cut(documents, options)
    assert balanced(outcome)
    assert outcome.counts.get("documents", None) is None or outcome.counts["documents"].entered == len(pages)
    for text in [one.text for one in outcome.kept] + [one.text for one in outcome.dropped]:
        assert text.encode("utf-8") is not None


def test_real_pages_are_cut_the_same_twice(web_pages: list[Document], options: Corpus) -> None:
    outcome = cut(web_pages, options)
    assert balanced(outcome)
    again = cut(web_pages, options)
    assert [segment.id for segment in again.kept] == [segment.id for segment in outcome.kept]


def options_of(**given: Any) -> Corpus:
    return Corpus.model_validate({**SOURCE, "min_chars": 40, "max_chars": 200, "languages": [], **given})


def paragraphs(name: str, count: int) -> str:
    return "".join(f"<p>{prose(f'{name}{number}', 2)}</p>" for number in range(count))


def test_a_long_section_is_cut_into_parts() -> None:
    html = f"<h1>A</h1>{paragraphs('a', 6)}"
    assert not cut([page(html)], options_of(long_sections="drop")).kept
    (first,) = cut([page(html)], options_of(long_sections="first")).kept
    every = cut([page(html)], options_of(long_sections="all"))
    assert first == every.kept[0] and first.part == 1 and first.header_path == ["A"]
    assert [segment.part for segment in every.kept] == [1, 2, 3] and balanced(every)
    assert "\n\n".join(segment.text for segment in every.kept) == "\n\n".join(
        prose(f"a{number}", 2) for number in range(6)
    )
    made = cut([page(html)], options_of(long_sections="first"))
    assert made.tallies["characters of further parts, not offered"] == sum(len(one.text) for one in every.kept[1:])


def test_a_long_lead_is_cut_and_sections_below_are_offered_first() -> None:
    html = f"<h1>A</h1>{paragraphs('a', 6)}<h2>B</h2>{paragraphs('b', 2)}"
    kept = cut([page(html)], options_of()).kept
    assert [(segment.header_path, segment.part) for segment in kept] == [(["A"], 1), (["A", "B"], 0)]


def test_a_section_of_short_ones_is_cut_as_a_whole() -> None:
    html = "<h1>A</h1>" + "".join(
        f"<h2>B{number}</h2><p>A short text that is number {number} here.</p>" for number in range(12)
    )
    (segment,) = cut([page(html)], options_of()).kept
    assert segment.part == 1 and segment.text.startswith("## B0\n\nA short text that is number 0 here.\n\n## B1")
    assert len(segment.text) <= 200 and segment.text.endswith(".")


def test_headers_that_cost_a_section_only_in_the_paper() -> None:
    for header in ("API", "3.2 HTTP", "The forum of Rome"):
        html = f"<h1>{header}</h1><p>{prose('a', 3)}</p>"
        assert len(cut([page(html)], options_of()).kept) == 1
        assert not cut([page(html)], options_of(preset="paper")).kept
    assert not cut([page(f"<h1>Forums</h1><p>{prose('a', 3)}</p>")], options_of()).kept


def test_copies_leave_a_segment_before_it_is_looked_at_for_repetition() -> None:
    said = "A sentence of more than forty characters that a page sets twice."
    html = f"<h1>A</h1><blockquote>{said}</blockquote><p>{said} {prose('a', 2)}</p>"
    (segment,) = cut([page(html)], options_of()).kept
    assert segment.text.count(said) == 1
    assert rules(cut([page(html)], options_of(preset="paper"))) == {"repeated-sentences": 1}


def test_a_part_has_its_share_of_the_text_in_links() -> None:
    linked = f"[{prose('a', 3)}](/)"
    text = "# A\n\n" + "\n\n".join([*(prose(f"b{number}", 3) for number in range(9)), linked])
    options = options_of(long_sections="first", max_link_share=0.3)
    (first,) = cut([replace(page(text), markup="markdown")], options).kept
    assert first.part == 1


def test_personal_data_in_the_author_is_redacted_or_drops_the_segment() -> None:
    page = Document("u", "# Baking\n\nPlain text.\n", "markdown", "markdown", author="jane.doe@corp.com")
    options = {"sources": [{"format": "markdown", "path": "x"}], "min_chars": 1, "languages": [], "min_prose": 0}
    redacted = cut([page], Corpus.model_validate({**options, "pii": "redact"}))
    assert [one.provenance.author for one in redacted.kept] == ["<EMAIL>"]
    dropped = cut([page], Corpus.model_validate({**options, "pii": "drop"}))
    assert not dropped.kept and [one.rule for one in dropped.dropped] == ["personal-data"]
