"""Documents → segments: which sections are offered, what takes the place of one that is rejected, and the counts."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from askback.config import Corpus
from askback.corpus import cut
from askback.records import Document, Outcome, Rejection, Segment, fail, record_id

SOURCE = {"sources": [{"format": "installed-docs"}]}
SMALL = Corpus.model_validate({**SOURCE, "min_chars": 40, "max_chars": 200, "languages": []})


def prose(name: str, sentences: int) -> str:
    """Distinct sentences of about 40 characters."""
    return " ".join(f"Sentence {name}{number} tells something on {name}." for number in range(sentences))


def page(html: str) -> Document:
    return Document("http://x/", html, "html", "warc", licence="CC0-1.0")


def rules(outcome: Outcome) -> Counter[str]:
    return Counter(rejection.rule for rejection in outcome.dropped)


def balanced(outcome: Outcome) -> bool:
    kept = [name for name in outcome.counts if not outcome.counts[name].balanced()]
    return not kept and len(outcome.kept) == (outcome.counts["segments"].kept if "segments" in outcome.counts else 0)


def test_a_section_that_fits_is_taken_whole() -> None:
    html = f"<h1>A</h1><p>{prose('a', 2)}</p><h2>B</h2><p>{prose('b', 2)}</p>"
    outcome = cut([page(html)], SMALL)
    (segment,) = outcome.kept
    text = f"{prose('a', 2)}\n\n## B\n\n{prose('b', 2)}"
    identity = record_id("http://x/", "A", text)
    assert segment == Segment(identity, text, ["A"], "http://x/", "warc", "CC0-1.0", "")
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
    outcome = cut([page(html)], SMALL)
    assert [segment.header_path for segment in outcome.kept] == [["SHOUTED", "Calm"], ["", "B"]]
    assert rules(outcome) == {"capital-header": 1, "empty-header": 1, "navigation-header": 1}


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
    assert [segment.language for segment in outcome.kept] == ["en"]
    assert all(rejection.uri == "http://x/" and rejection.detail and rejection.text for rejection in outcome.dropped)


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
    for record in [*outcome.kept, *outcome.dropped]:
        assert record.text.encode("utf-8") is not None


def test_real_pages_leak_no_furniture(web_pages: list[Document], options: Corpus) -> None:
    """Every piece of furniture in the web sample holds the word "chromemark"."""
    outcome = cut(web_pages, options)
    assert balanced(outcome)
    assert len(outcome.kept) > len(web_pages)
    leaks = sum("chromemark" in segment.text for segment in outcome.kept)
    assert leaks <= len(outcome.kept) / 1000
    again = cut(web_pages, options)
    assert [segment.id for segment in again.kept] == [segment.id for segment in outcome.kept]
