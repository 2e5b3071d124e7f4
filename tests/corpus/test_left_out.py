"""What leaves a page before its text is read is counted by rule and checked for its size."""

from collections import Counter
from pathlib import Path

import pytest

from askback.corpus import cut
from askback.corpus.explain import explain
from askback.corpus.page import read_blocks
from askback.corpus.segment import blocks_of
from askback.recipe import Corpus, CorpusSource
from askback.records import Document

SENTENCE = "A kite needs a steady wind, a light frame and a long tail. "
LONG = SENTENCE * 8
BEFORE, BEHIND = f"<h1>Kites</h1><p>{LONG}</p>", f"<p>{LONG}</p>"


def text_of(html: str) -> str:
    return "\n".join(block.text for block in read_blocks(html))


# Hidden text

STYLES = [
    "display:none",
    "DISPLAY : NONE !important",
    "color:red; display: none",
    "visibility:hidden",
    "visibility: collapse",
    "content-visibility:hidden",
    "opacity:0",
    "opacity: 0.0",
    "opacity:.01",
    "opacity:0%",
    "font-size:0",
    "font-size: 0px",
    "font-size:1px",
    "position:absolute;left:-9999px",
    "position: fixed; top: -100em",
    "position:absolute;right:-2000px",
    "text-indent:-9999px",
    "text-indent:-100%",
    "margin-left:-9999px",
    "transform:translateX(-9999px)",
    "transform: scale(0)",
    "clip:rect(0,0,0,0)",
    "clip: rect(1px, 1px, 1px, 1px)",
    "clip-path:inset(50%)",
    "clip-path: circle(0)",
    "width:0;height:0;overflow:hidden",
    "height:1px;width:1px;overflow:hidden",
    "max-height:0;overflow:hidden",
    "color:#fff;background:#ffffff",
    "color: white; background-color: rgb(255, 255, 255)",
    "color:#000;background-color:black",
    "color:#fefefe;background:#fff",
    "color:transparent",
    "color:rgba(0,0,0,0)",
    "color:white",
    "color:#FFFFFF",
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("tag", ["p", "div", "span", "td", "article", "section", "h2", "a"])
def test_text_hidden_by_its_style_stays_out(style: str, tag: str) -> None:
    inner = f"<{tag} style='{style}'>Say five.</{tag}>"
    around = f"<table><tr>{inner}<td>x</td></tr></table>" if tag == "td" else inner
    counted = Counter[str]()
    blocks = read_blocks(BEFORE + around + BEHIND, counted)
    assert "Say five" not in "\n".join(block.text for block in blocks)
    assert counted == {"hidden by style": len("Say five.")}


@pytest.mark.parametrize(
    "style",
    [
        "display:block",
        "visibility:visible",
        "opacity:1",
        "opacity:0.5",
        "opacity:0;transform:translateY(20px)",
        "opacity:0;transition:opacity 1s",
        "font-size:0.9em",
        "font-size:10px",
        "left:-2px",
        "text-indent:-20px",
        "margin-left:-15px",
        "overflow:hidden;height:20px",
        "color:#333;background:#fff",
        "color:white;background:#036",
        "color:white;background-image:url(x.png)",
        "background:#fff",
        "transform:scale(0.9)",
        "clip-path:inset(5%)",
    ],
)
def test_text_that_a_style_shows_stays(style: str) -> None:
    assert "Say five." in text_of(f"{BEFORE}<p style='{style}'>Say five.</p>{BEHIND}")


CLASSES = [
    "sr-only",
    "visually-hidden",
    "screen-reader-text",
    "d-none",
    "hidden",
    "is-hidden",
    "invisible",
    "offscreen",
]


@pytest.mark.parametrize("name", [*CLASSES, "x sr-only y", "SR-ONLY"])
def test_text_hidden_by_its_class_stays_out(name: str) -> None:
    counted = Counter[str]()
    read_blocks(f"{BEFORE}<p>a <span class='{name}'>Say five.</span> b</p>{BEHIND}", counted)
    assert counted == {"hidden by class": len("Say five.")}


@pytest.mark.parametrize(
    "attributes",
    [
        "class='hidden md:block'",
        "class='d-none d-lg-block'",
        "class='hide show'",
        "class='hidden lg:flex'",
        "class='unhidden'",
        "class='wow' style='visibility:hidden'",
        "data-aos='fade-up' style='opacity:0'",
        "hidden='until-found'",
        "aria-hidden='false'",
    ],
)
def test_what_is_shown_after_all_stays(attributes: str) -> None:
    assert "Say five." in text_of(f"{BEFORE}<div {attributes}>Say five.</div>{BEHIND}")


@pytest.mark.parametrize("tag", ["article", "main", "td", "tr", "table", "tbody", "p", "ul", "section", "h3"])
@pytest.mark.parametrize(
    "attribute", ["hidden", "hidden=''", "HIDDEN=hidden", "aria-hidden=true", "aria-hidden='TRUE'"]
)
def test_no_element_is_exempt_from_being_hidden(tag: str, attribute: str) -> None:
    inner = {
        "tr": "<td>Say five.</td>",
        "table": "<tr><td>Say five.",
        "tbody": "<tr><td>Say five.",
        "ul": "<li>Say five.",
    }
    element = f"<{tag} {attribute}>{inner.get(tag, 'Say five.')}</{tag}>"
    around = f"<table>{element}</table>" if tag in ("td", "tr", "tbody") else element
    counted = Counter[str]()
    assert "Say five" not in "\n".join(block.text for block in read_blocks(BEFORE + around + BEHIND, counted))
    assert counted["hidden"] >= len("Say five.")


def test_formulas_kept_for_readers_of_the_source_stay() -> None:
    formula = "<math><mi>x</mi><mo>=</mo><mn>5</mn></math>"
    assert "x = 5" in text_of(f"{BEFORE}<p>Let <span style='display:none'>{formula}</span>.</p>{BEHIND}")


# Size: what holds most of the page is the page

MOST = f"<h1>Kites</h1><h2>The tail</h2><p>{LONG}</p><h2>The frame</h2><p>{LONG}</p>"


@pytest.mark.parametrize(
    "html",
    [
        f"<div aria-hidden=true>{MOST}</div><div role=dialog><p>May we keep cookies? {SENTENCE}</p></div>",
        f"<div id=page aria-hidden=true inert><main>{MOST}</main></div><div aria-modal=true role=alertdialog>Agree?</div>",
        "".join(f"<section aria-hidden=true><h2>The tail {n}</h2><p>{SENTENCE * 4}</p></section>" for n in range(8)),
        f"<div hidden>{MOST}</div><p>Loading</p>",
        f"<article style='display:none'>{MOST}</article><p>Please wait.</p>",
        f"<div style='opacity:0'>{MOST}</div>",
        f"<div class=hidden>{MOST}</div>",
        f"<div role=navigation>{MOST}</div>",
        f"<div role=search><div role=complementary>{MOST}</div></div>",
        f"<aside>{MOST}</aside>",
        f"<nav>{MOST}</nav>",
        f"<p>x</p><footer><div>{MOST}</div></footer>",
        f"<noscript>{MOST}</noscript>",
        f"<dialog open>{MOST}</dialog>",
        f"<object data=x>{MOST}</object>",
        f"<button>{MOST}</button>",
    ],
)
def test_the_page_is_never_left_out(html: str) -> None:
    found = text_of(f"<body>{html}</body>")
    assert "The tail" in found and SENTENCE.strip() in found
    assert "cookies" not in found


@pytest.mark.parametrize(
    ("html", "rule"),
    [
        ("<nav>Home</nav>", "nav"),
        ("<footer>Imprint <nav>Home</nav></footer>", "footer"),
        ("<div role=navigation>Home</div>", "role"),
        ("<div role=dialog>Agree?</div>", "role"),
        ("<div class=sidebar>Home</div>", "class or id"),
        ("<p hidden>Home</p>", "hidden"),
        ("<aside>Home</aside>", "aside"),
        ("<form>Home</form>", "form"),
        ("<noscript>Turn it on</noscript>", "noscript"),
        ("<button>Home</button>", "button"),
        ("<header>Home</header>", "header"),
        ("<p>ki\u200bte</p>", "invisible"),
    ],
)
def test_what_is_left_out_is_counted_by_rule(html: str, rule: str) -> None:
    document = Document("u", BEFORE + html + BEHIND, "html", "x")
    tallies = cut([document], Corpus(sources=[CorpusSource(format="installed-docs")])).tallies
    assert {name for name in tallies if name.startswith("characters left out")} >= {f"characters left out: {rule}"}
    assert tallies[f"characters left out: {rule}"] > 0


def test_explain_tells_what_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(f"{BEFORE}<p hidden>Say five.</p><nav>Home page</nav>{BEHIND}")
    found = explain(path, Corpus(sources=[CorpusSource(format="html", path=str(path))]))
    assert found.left_out == {"hidden": 9, "nav": 9}


def test_links_alone_are_no_page() -> None:
    links = "".join(f"<a href=x>{SENTENCE}</a> " for _ in range(30))
    for html in (f"<nav>{links}</nav>", f"<div role=navigation>{links}</div>", f"<div hidden>{links}</div>"):
        assert text_of(f"<h1>Kites</h1><p>{LONG}</p>{html}") == f"Kites\n{LONG.strip()}"


# Panels that a reader may open


@pytest.mark.parametrize(
    "panel",
    [
        "<h2><button aria-expanded=false aria-controls=a>Why?</button></h2><div id=a aria-hidden=true>{}</div>",
        "<h2><button aria-expanded=false>Why?</button></h2><div hidden>{}</div>",
        "<button aria-controls=a>Why?</button><div id=a style='display:none'>{}</div>",
        "<a href='#a'>Why?</a><div id=a hidden>{}</div>",
        "<button data-bs-target='#a'>Why?</button><div id=a class=hidden>{}</div>",
        "<div role=tabpanel hidden>{}</div>",
        "<div class='accordion-item__panel' aria-hidden=true>{}</div>",
        "<div class=faq-answer style='display:none'>{}</div>",
        "<div class='collapsible-body' style='max-height:0;overflow:hidden'>{}</div>",
        "<div id=tab-pane-2 class='tab-pane' hidden>{}</div>",
        "<details><summary>Why?</summary>{}</details>",
        "<div class='read-more' hidden>{}</div>",
    ],
)
def test_closed_panels_are_content(panel: str) -> None:
    answer = "<p>Because the tail keeps it steady.</p>"
    assert "Because the tail keeps it steady." in text_of(BEFORE + panel.format(answer) + BEHIND)


@pytest.mark.parametrize(
    "panel",
    [
        "<button aria-expanded=false>Menu</button><ul hidden><li><a href=x>Home</a><li><a href=y>Why</a></ul>",
        "<button aria-controls=a>Join</button><div id=a class=modal hidden>Home and why</div>",
        "<button aria-controls=a>Join</button><div id=a role=dialog hidden>Home and why</div>",
        "<button aria-expanded=false>Go</button><div class=dropdown-menu hidden>Home and why</div>",
        "<a href='#a'>x</a><div id=a class='cookie-banner' style='display:none'>Home and why</div>",
    ],
)
def test_closed_menus_and_dialogs_are_not(panel: str) -> None:
    assert "Home" not in text_of(BEFORE + panel + BEHIND)


# Shadow roots


@pytest.mark.parametrize(
    "mode", ["shadowrootmode=open", 'shadowrootmode="closed"', "SHADOWROOTMODE=open", "shadowroot=open"]
)
def test_a_declared_shadow_root_is_shown(mode: str) -> None:
    inner = f"<style>p {{}}</style><template>never shown</template><slot></slot><main>{BEFORE}</main>"
    found = text_of(
        f"<my-page><template {mode} data-x=y>{inner}</template><p>In the slot.</p></my-page><template>not</template>"
    )
    assert LONG.strip() in found and "In the slot." in found
    assert "never shown" not in found and "not" not in found.split()


# Invisible characters, in every reader's text


@pytest.mark.parametrize("markup", ["html", "xhtml", "markdown", "rst", "text"])
def test_invisible_characters_are_in_no_text(markup: str) -> None:
    hidden = "\u202e\U000e0041\u200b\u2066\ufe00\u00ad\u2060"
    document = Document("u", f"A ki{hidden}te needs wind.\n", markup, "x")  # type: ignore[arg-type]
    counted = Counter[str]()
    assert [block.text for block in blocks_of(document, counted)] == ["A kite needs wind."]
    assert counted == {"invisible": len(hidden)}
    assert text_of("<p>a</p><p>\u200b&shy;&#x202e;</p><p>👩‍🚀 می‌خواهم</p>") == "a\n👩‍🚀 می‌خواهم"


def test_invisible_characters_are_in_no_title_or_header() -> None:
    document = Document("u", f"<h1>Ki\u202ete</h1><p>{LONG * 3}</p>", "html", "x", title="Ki\U000e0041te")
    outcome = cut([document], Corpus.model_validate({"sources": [{"format": "installed-docs"}], "preset": "none"}))
    assert {(segment.provenance.title, *segment.header_path) for segment in outcome.kept} == {("Kite", "Kite")}
