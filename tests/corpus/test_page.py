"""HTML → blocks: structure kept, furniture gone, nothing that a page can hold breaks it."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from askback.corpus.page import MAX_DEPTH, TooDeep, TooMany, read_blocks
from askback.records import Document
from tests.clock import ends_within


def text(html: str) -> str:
    blocks = read_blocks(html)
    return "".join([blocks[0].text, *(block.glue + block.text for block in blocks[1:])]) if blocks else ""


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One\n two</p><p>three</p>", "One two\n\nthree"),
        ("<p>a<br>b<br><br>c</p>", "a\nb\n\nc"),
        ("<p>A <b>bold</b> <a href='/x'>link</a> and <em>this</em>.</p>", "A bold link and this."),
        ("<p>Run <code>make  all</code>, or <kbd>a`b</kbd>.</p>", "Run `make all`, or ``a`b``."),
        ("<p><img src='b.png' alt='badge'><a href='/'><img src='c.svg'></a></p><p>x</p>", "x"),
        ("<ul><li>a<li>b<ul><li>c</ul><li>d</ul><p>e", "- a\n- b\n  - c\n- d\n\ne"),
        ("<ol start='3'><li>x<li><p>y<p>z</ol>", "3. x\n4. y\n\n   z"),
        ("<blockquote><p>q<p>r</blockquote>", "> q\n>\n> r"),
        ("<dl><dt>Term<dd>Meaning<dt>Other<dd>More</dl>", "Term\n: Meaning\n\nOther\n: More"),
        ("<pre class='language-sh'>\na &lt; b\n  c\n</pre>", "```sh\na < b\n  c\n```"),
        ("<pre>a ``` b</pre>", "````\na ``` b\n````"),
        ("<li><pre>x\ny</pre></li>", "- ```\n  x\n  y\n  ```"),
        ("<table><tr><th>A<th>B<tr><td>1|2<td></table>", "| A | B |\n| --- | --- |\n| 1\\|2 |  |"),
        ("<table><tr><td><p>left<ul><li>x</ul><td>right</table>", "left\n\n- x\n\nright"),
        (
            "<p>10<sup>6</sup> m<sup>2</sup>, H<sub>2</sub>O, 1<sup>st</sup>, 10<sub>2</sub></p>",
            "10^6 m^2, H2O, 1st, 10_2",
        ),
        ("<p>Known fact.<sup>12</sup> More<sup><a href='#n'>[3]</a></sup> text</p>", "Known fact. More text"),
        ("<p>a &amp;lt; b&nbsp;c &copy; so\u00adft\u200b&#1;</p>", "a &lt; b c © soft"),
        ("<p>He said <q>no</q>.</p>", "He said “no”."),
        ("<p>a<!-- <p>no</p> -->b</p>", "ab"),
    ],
)
def test_structure_is_kept_as_markdown(html: str, expected: str) -> None:
    assert text(html) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("<msup><mn>10</mn><mrow><mo>−</mo><mn>34</mn></mrow></msup>", "10^−34"),
        ("<mi>y</mi><mo>=</mo><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac>", "y = (a + b)/2"),
        ("<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup><mo>&lt;</mo><msqrt><mn>3</mn></msqrt>", "x_i^2 < √(3)"),
        ("<semantics><mi>v</mi><annotation encoding='StarMath 5.0'>size 12{v}</annotation></semantics>", "v"),
        ("<semantics><mi>v</mi><annotation encoding='application/x-tex'>\\vec v</annotation></semantics>", "$\\vec v$"),
        ("<msup><mrow></mrow><mtext>2−</mtext></msup>", "^2−"),
    ],
)
def test_formulas_are_written_in_a_line(formula: str, expected: str) -> None:
    assert text(f"<p><math>{formula}</math></p>") == expected


@pytest.mark.parametrize(
    "furniture",
    [
        *(f"<{tag}>gone</{tag}>" for tag in ("nav", "aside", "footer", "script", "style", "noscript", "svg", "button")),
        "<header><p>gone</p></header>",
        "<form><p>gone</p></form>",
        "<select><option>gone</select>",
        "<template><p>gone</p></template>",
        "<iframe>gone</iframe>",
        *(
            f"<div role='{role}'>gone</div>"
            for role in ("navigation", "banner", "contentinfo", "complementary", "search")
        ),
        "<div hidden>gone</div>",
        "<div aria-hidden='true'>gone</div>",
        *(
            f"<div class='x {name}'>gone</div>"
            for name in ("nav", "menu", "sidebar", "breadcrumb", "advert", "newsletter")
        ),
        *(
            f"<div id='{name}'>gone</div>"
            for name in ("share", "related", "footer", "cookie", "site-footer", "share-bar")
        ),
        "<div class='nav'><div>gone</div><div>gone</div></div>",
    ],
)
def test_furniture_is_never_text(furniture: str) -> None:
    body = "<p>The text of the page, which is longer than what stands around it.</p>"
    assert text(f"<body>{furniture}<main>{body}</main>{furniture}</body>") == body[3:-4]


@pytest.mark.parametrize(
    "html",
    [
        "<body class='sidebar'><main class='menu'><article id='related'><p>kept</p></article></main></body>",
        "<div class='has-sidebar'><p>kept</p></div>",
        "<div class='content-with-menu navigate shareholders'><p>kept</p></div>",
        "<div class='nav'><p>kept</p></div>",  # most of the page: not furniture, whatever it is called
        "<form id='aspnetForm'><p>kept</p></form>",
        "<div hidden='until-found'>kept</div>",
        "<aside class='admonition note'><p>kept</p></aside><p>x</p>",
        "<article><header><p>kept</p></header></article>",
    ],
)
def test_what_only_looks_like_furniture_stays(html: str) -> None:
    assert "kept" in text(html)


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>A note. <a href='#r'>↩︎</a></p>", "A note."),
        ("<p>A note. <a href='#r'>↩</a> <a href='#s'>↩<sup>2</sup></a></p>", "A note."),
        ("<p>A note.↩\ufe0f<br>Another ↩ one ❤\ufe0f</p>", "A note.\nAnother ↩ one ❤\ufe0f"),
        ("<p><span class='mw-cite-backlink'>^ <a href='#r'>a</a></span> A note.</p>", "A note."),
        ("<p>A note. <a role='doc-backlink' href='#r'>back</a></p>", "A note."),
    ],
)
def test_the_way_back_from_a_footnote_is_no_text(html: str, expected: str) -> None:
    assert text(html) == expected


def test_the_header_of_the_page_leaves_its_top_header() -> None:
    html = f"<header><a>Home</a><h1>Title</h1><p>Tagline</p></header><p>{'Text. ' * 20}</p>"
    assert [(block.level, block.text) for block in read_blocks(html)] == [(1, "Title"), (0, ("Text. " * 20).strip())]


def test_headers_are_found_wherever_they_stand() -> None:
    html = (
        "<h1>A <code>b</code></h1><ul><li><h3>C</h3>d</li></ul><div role='heading' aria-level='12'>E</div>f"
        "<h2><button>G</button></h2><table><tr><td><h4>H</h4>i</table>"
    )
    assert [(block.level, block.text) for block in read_blocks(html)] == [
        *[(1, "A b"), (3, "C"), (0, "d"), (6, "E"), (0, "f"), (2, "G"), (4, "H"), (0, "i")]
    ]


@pytest.mark.parametrize(
    ("html", "linked"),
    [
        ("<p>See <a href='/'>the docs</a> or <a href='/'>not</a>.</p>", 8 + 3),
        ("<p><a href='/'>all  of\n it</a></p><p>none</p>", 9),
        ("<a href='/'><p>one</p><p>two</p></a>", 3 + 3),
        ("<ul><li><a href='/'>a <code>bc</code> d</a></li><li>e</li></ul>", 8),
        ("<table><tr><th><a href='/'>ab</a><th>c<tr><td><a href='/'>d</a><td>e</table>", 3),
        ("<p>x <a href='/'><img></a> y</p>", 0),
        ("<h2><a href='/'>Header</a></h2><p>none</p>", 0),
        ("<p>a &amp; b</p>", 0),
    ],
)
def test_text_in_links_is_counted(html: str, linked: int) -> None:
    assert sum(block.linked for block in read_blocks(html, main=False) if not block.level) == linked


def test_deep_nesting_is_refused_or_read_but_never_overflows() -> None:
    with pytest.raises(TooDeep, match=str(MAX_DEPTH)):
        read_blocks("<div>" * 100_000 + "x")
    with pytest.raises(TooDeep):
        read_blocks("<b>" * 100_000 + "x" + "</b>" * 100_000)
    assert text("<div>" * 3000 + "x" + "</div>" * 3000) == "x"
    assert text("<ul><li>" * 2000 + "x").endswith("x")
    assert text("<p>a" * 50_000).count("a") == 50_000  # these close themselves, so nothing is nested


@pytest.mark.parametrize(
    ("html", "error"),
    [
        ("<b>" * 1_700_000, TooMany),
        ("<b>x</b>" * 700_000, TooMany),
        ("<\x01div>" * 100_000, TooDeep),  # controls are nothing to a parser
        ("<svg><div>" + "<path/>" * 100_000, TooDeep),  # a div ends a drawing, and then the slash means nothing
        ("<svg><desc>" + "<path/>" * 100_000, TooDeep),
        ("<svg></div>" + "<g/>" * 100_000, TooDeep),
        ("<svg>" + "<path d='/>'>" * 100_000, TooDeep),
        ("<svg>" + "<path d=a' e='/>" * 100_000, TooDeep),
        ("<div></x>" * 100_000, TooDeep),  # end tags of nothing do not make it flat
        ("<li><ul></ul><dd>" * 20_000, TooDeep),  # nor do items that end each other only in a list
        (
            "<p>" + "".join(f"<b id={number}>" for number in range(900)) + "<p>x" * 100_000,
            TooMany,
        ),  # 90 million elements
        ("<p>" + "".join(f"<i id={number}>" for number in range(900)) + "<p>x" * 1500, TooMany),
        ("<p>" + "<b><b><b><i><i><i><u><u><u><s><s><s>" + "<p>x" * 200_000, TooMany),
    ],
)
def test_what_a_parser_would_make_into_millions_of_elements_is_refused_at_once(html: str, error: type) -> None:
    def refused() -> None:
        with pytest.raises(error):
            read_blocks(html)

    assert ends_within(8, refused)


def test_many_tags_are_no_reason_to_refuse_a_page() -> None:
    lists = "<ul><li>a<ul><li>b</ul></ul><dl><dt>x<dd>y<ul><li>z</ul><dd>u</dl><p>A <b class=c>bold</b> word"
    assert text(lists * 3000).count("bold") == 3000
    icon = (
        "<svg><title>t</title><g><path d='M0 0'/><circle r=\"1\"  /><use/></g></svg><p>x <math><mi>a</mi><mo/></math>"
    )
    assert text(icon * 3000).count("x") == 3000


def test_a_megabyte_takes_no_time() -> None:
    row = "<div class='c'><h2>Header</h2><p>Some <b>words</b>, <a href='/x'>a link</a>.</p><ul><li>x<li>y</ul></div>"
    for html in (
        row * (1_000_000 // len(row)),
        "<div class=nav>" * 900 + "<p>x y</p>" * 90_000,
        "a < b & c " * 100_000,
    ):
        assert read_blocks(html)
        assert ends_within(6, partial(read_blocks, html))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read(data: bytes) -> None:
    for block in read_blocks(data.decode("utf-8", "surrogateescape")):
        assert block.text.encode("utf-8")


TAGS = [
    "div",
    "p",
    "b",
    "h1",
    "h2",
    "h3",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "pre",
    "code",
    "table",
    "tr",
    "td",
    "th",
    "sup",
]
TAGS += [
    "caption",
    "blockquote",
    "a",
    "header",
    "main",
    "aside",
    "form",
    "button",
    "math",
    "msup",
    "mi",
    "br",
    "span",
    "nav",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "/"]), st.sampled_from(TAGS), st.sampled_from(["", " w"])), max_size=60))
def test_any_nesting_is_read(tags: list[tuple[str, str, str]]) -> None:
    html = "".join(f"<{close}{tag}>{words}" for close, tag, words in tags)
    words = sum(block.text.replace("\n", " ").split().count("w") for block in read_blocks(html))
    assert words <= html.count(" w")


def test_the_bodies_of_real_pages_survive(web_pages: list[Document]) -> None:
    kept = total = 0
    for page in web_pages:
        main = LexborHTMLParser(page.text).css_first("main")
        assert main is not None
        main.strip_tags(["script", "style", "math", "svg", "form", "aside", "button", "select", "nav"], recursive=True)
        mine = set(text(page.text).split())
        words = main.text(separator=" ").split()
        total += len(words)
        kept += sum(word in mine for word in words)
    assert kept / total > 0.97


def test_controls_go_however_they_are_written() -> None:
    html = "<p>a\x01b\x85c&#x81;d&#0129;e&#31;f&#39;g&#1580;</p>"
    assert [block.text for block in read_blocks(html)] == ["abcdef'gج"]
