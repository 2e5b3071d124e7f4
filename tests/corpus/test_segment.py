"""A document → its tree of sections."""

from askback.corpus.segment import Section, segment
from askback.records import Document, Markup


def sections(text: str, markup: Markup = "html", title: str = "") -> list[tuple[list[str], str]]:
    """Return the path and text of every section, depth first."""

    def walk(found: list[Section]) -> list[tuple[list[str], str]]:
        return [pair for section in found for pair in [(section.path, section.text()), *walk(section.children)]]

    return walk(segment(Document("u", text, markup, "test", title)))


def test_a_section_runs_to_the_next_header_of_its_level_or_higher() -> None:
    html = "<p>before</p><h1>A</h1>a<h3>B</h3>b<h2>C</h2>c<h3>D</h3>d<h1>E</h1>e"
    assert sections(html) == [
        (["A"], "a\n\n### B\n\nb\n\n## C\n\nc\n\n### D\n\nd"),
        (["A", "B"], "b"),
        (["A", "C"], "c\n\n### D\n\nd"),
        (["A", "C", "D"], "d"),
        (["E"], "e"),
    ]


def test_containers_around_headers_do_not_matter() -> None:
    html = "<div><section><h1>A</h1></section><div>a<article><h2>B</h2><p>b</article></div>c</div>"
    assert sections(html) == [(["A"], "a\n\n## B\n\nb\n\nc"), (["A", "B"], "b\n\nc")]


def test_headers_without_text_are_left_out() -> None:
    html = "<h1>A</h1><h2>Gallery</h2><img src=x><h2>B</h2>b<h2>Links</h2><nav>x</nav>"
    assert sections(html) == [(["A"], "## B\n\nb"), (["A", "B"], "b")]


def test_navigation_is_no_part_of_the_text_around_it() -> None:
    html = "<h1>A</h1>a<h2>Share this</h2>by post<h2>B</h2>b"
    assert sections(html)[0] == (["A"], "a\n\n## B\n\nb")
    assert (["A", "Share this"], "by post") in sections(html)


def test_the_lead_is_the_text_before_the_first_header_below() -> None:
    (section,) = segment(Document("u", "<h1>A</h1><p>a<p>b<h2>C</h2>c", "html", "test"))
    assert section.lead_text() == "a\n\nb"


def test_text_in_links_is_added_up_as_the_text_is() -> None:
    text = "# A\n\n[12](x) 3\n\n## Share\n\n[123456](x)\n\n## B\n\n[1234](x)\n\n### C\n\n[1](x)"
    (section,) = segment(Document("u", text, "markdown", "test"))
    assert section.text() == "12 3\n\n## B\n\n1234\n\n### C\n\n1"
    assert (section.linked(), section.lead_linked()) == (2 + 4 + 1, 2)


def test_text_without_headers_is_one_section() -> None:
    assert sections("One\nline.\r\n\r\n\r\n  Two.\x00 \n", "text") == [([], "One\nline.\n\n  Two.")]
    assert sections("One.", "text", " My\ntitle") == [(["My title"], "One.")]
    assert sections("<p>One.</p>", "html", "T") == [(["T"], "One.")]
    assert sections("", "text") == sections("<nav>x</nav>") == sections("# Only a header", "markdown") == []
    assert sections("a\ud800b", "text") == [([], "a?b")]
