"""What stands around the text of a page goes, by its place, its names and its form; what only looks like it stays."""

from collections import Counter

import pytest

from askback.corpus.page import read_blocks

KITE = "A kite needs a steady wind, a light frame and a tail that is long enough to keep it upright."
PAPER = "Paper tears at the corners first, so glue a second piece over each of them before you fly it."
LINE = "Wind the line on a stick, never on a hand, since a gust pulls hard enough to cut through skin."
TEXT = f"<p>{KITE} {PAPER}</p><p>{LINE}</p><p>{PAPER} {LINE}</p>"
OUT = "Buy a dragon today"


def text_of(html: str) -> str:
    return "\n\n".join("#" * block.level + " " * bool(block.level) + block.text for block in read_blocks(html))


def article(*parts: str) -> str:
    return f"<body><div id=page><article><h1>Kites</h1>{''.join(parts)}</article></div></body>"


@pytest.mark.parametrize(
    "around",
    [
        f"<div class=c-site-cookie-notice><p>{OUT}</p></div>",
        f"<div class=entryShare><span>{OUT}</span></div>",
        f"<div class=two-related-articles><p>{OUT}</p></div>",
        f"<div class='yarpp yarpp-related-website'><p>{OUT}</p></div>",
        f"<div id=mh-author-box><p>{OUT}</p></div>",
        f"<div class=newsletterForm><p>{OUT}</p></div>",
        f"<div class=article__tags><p>{OUT}</p></div>",
        f"<div class=post-navigation><p>{OUT}</p></div>",
        f"<div aria-label='Related articles'><p>{OUT}</p></div>",
        f"<div class=comment-respond><p>{OUT}</p></div>",
        f"<section class=relatedPostsList><p>{OUT}</p></section>",
        f"<div class=byline>{OUT}</div>",
        f"<div class=wp-caption><p class=wp-caption-text>{OUT}</p></div>",
        f"<figure><img src=a.jpg><figcaption>{OUT}</figcaption></figure>",
        f"<p><a href=x>{OUT}</a></p>",
        f"<p>Read also: <a href=x>{OUT}</a></p>",
        f"<p>Photo: {OUT} / Agency</p>",
        f"<p>You might also like</p><ul><li><a href=x>{OUT}</a><li><a href=x>{OUT} again</a></ul>",
    ],
)
def test_what_stands_around_the_text_goes(around: str) -> None:
    found = text_of(article(TEXT, around, TEXT))
    assert OUT not in found and "You might" not in found
    assert found.count(KITE) == 2 and found.startswith("# Kites\n\n")


@pytest.mark.parametrize(
    "card", [f"<h3><a href=x>{OUT}</a></h3><p>It flies.</p>", f"<h3>{OUT}</h3><p>It flies when ...</p>"]
)
def test_cards_that_lead_to_other_pages_go(card: str) -> None:
    assert OUT not in text_of(article(TEXT, TEXT, "<h2>Wares</h2>", card * 3))
    assert OUT in text_of(article(TEXT, TEXT, card * 2)), "two may be sections"
    assert OUT in text_of(article(f"<p>{KITE}</p>", card * 9)), "unless they are most of the page"


@pytest.mark.parametrize(
    ("line", "goes"),
    [
        ("1 March 2024, 7:40 am", True),
        ("Published on March 1, 2024", True),
        ("Stand: 01.03.2024, 12:30 Uhr", True),
        ("4 Min Read", True),
        ("By Ada Spoke and Bea Wheel", True),
        ("Advertisement", True),
        ("12 comments", True),
        ("By noon the wind is best.", False),
        ("In March 2024 the wind was strong.", False),
        ("Share the string with a friend.", False),
        ("Photo paper is too heavy.", False),
        ("12.5", False),
    ],
)
def test_lines_about_the_text(line: str, goes: bool) -> None:
    assert (line not in text_of(article(f"<p>{line}</p>", TEXT))) == goes


@pytest.mark.parametrize(
    "kept",
    [
        f"<div class='theiaStickySidebar'>{TEXT}</div>",
        f"<div class='non-paywall newsArticleMeta node-promoted'>{TEXT}</div>",
        f"<div class='entry share'>{TEXT}</div>",
        f"<div class=has-sidebar><p>{KITE}</p></div>",
        f"<div class=social-media-embed><p>{KITE}</p></div>",
        f"<p>These shops have good line, and send it by post:</p><ul>{'<li><a href=x>The kite shop</a>' * 3}</ul>",
        f"<ul><li><a href=x>The frame</a>: {KITE}<li><a href=x>The line</a>: {LINE}</ul>",
        "<table><tr><th>Wind</th><th>Tail</th></tr><tr><td><a href=x>calm</a></td><td><a href=x>short</a></td></table>",
        f"<aside class=note><p>{KITE}</p></aside>",
    ],
)
def test_the_answer_itself_stays(kept: str) -> None:
    shown = [block.text for block in read_blocks(article(kept), main=False) if not block.level]
    found = text_of(article(TEXT, kept))
    assert shown and all(line in found for line in shown)


@pytest.mark.parametrize(
    ("line", "goes"),
    [
        ("Want more kites? Subscribe to our newsletter and follow us on Kitebook.", True),
        ("What do you think? Let us know down below in the comments.", True),
        ("For the latest news download the Kite News apps.", True),
        ("Sign up for an account at the weather service.", False),
        ("Follow the line with one hand.", False),
    ],
)
def test_calls_on_the_reader_at_the_end_go(line: str, goes: bool) -> None:
    assert (line not in text_of(article(TEXT, TEXT, f"<p>{line}</p>"))) == goes
    assert line in text_of(article(f"<p>{line}</p>", TEXT, TEXT, TEXT)), "only there"


def test_a_sentence_of_links_is_text() -> None:
    line = f"{LINE[:-1]}, as <a href=x>{'the old book of kites and of their makers says ' * 4}</a> in short."
    assert "in short." in text_of(article(TEXT, f"<p>{line}</p>"))


def test_a_page_of_links_is_left_as_it_is() -> None:
    links = "".join(f"<li><a href=x>The kite of {n}</a>" for n in range(30))
    assert text_of(article(f"<ul>{links}</ul>")).count("The kite of") == 30


def test_text_beside_the_main_part_goes_and_is_counted() -> None:
    news = "".join(f"<div><h3>News {n}</h3>{OUT}</div>" for n in range(9))
    counted = Counter[str]()
    blocks = read_blocks(f"<div><div class=x>{news}</div><div class=y><h1>Kites</h1>{TEXT}</div></div>", counted)
    assert [block.text for block in blocks] == ["Kites", f"{KITE} {PAPER}", LINE, f"{PAPER} {LINE}"]
    assert counted == {"outside the main part": 9 * (len("News 0") + len(OUT))}


def test_title_lead_and_prose_beside_the_main_part_stay() -> None:
    lead = "What to know before you build a kite, told in five minutes."
    top = f"<div><h1>Kites</h1><span>News</span><p>{lead}</p></div>"
    html = f"<div>{top}<div>{TEXT}{TEXT}</div><div><p>{KITE}</p></div></div>"
    found = text_of(f"<div>{html}<div>{OUT}</div></div>").split("\n\n")
    assert found[:2] == ["# Kites", lead] and found[-1] == KITE and "News" not in found


def test_a_title_of_the_second_level_is_one_if_it_is_near() -> None:
    body = f"<div><div>{TEXT}{TEXT}</div><div>{OUT}</div></div>"
    assert text_of(f"<div><div><h2>Kites</h2></div>{body}</div>").startswith("## Kites\n\n")
    far = "<p>x</p>" * 8
    assert text_of(f"<div><div><h2>Kites</h2>{far}</div>{body}</div>").startswith(KITE)


@pytest.mark.parametrize("tag", ["ul", "table", "blockquote", "ol", "dl"])
def test_the_main_part_is_no_list_table_or_quotation(tag: str) -> None:
    items = {"table": f"<tr><td>{KITE}</td><td>{LINE}</td></tr>", "dl": f"<dt>One</dt><dd>{KITE}</dd>"}
    inner = items.get(tag, f"<li>{KITE}</li>" if tag != "blockquote" else f"<p>{KITE}</p>") * 9
    found = text_of(f"<body><h2>Kites</h2><p>Few words.</p><{tag}>{inner}</{tag}><p>The end.</p></body>")
    assert found.startswith("## Kites\n\nFew words.") and found.endswith("The end.")


def test_text_in_a_table_that_lays_out_the_page_is_found() -> None:
    found = text_of(f"<table><tr><td><p>{OUT}</p></td><td><h1>Kites</h1>{TEXT}{TEXT}</td></tr></table>")
    assert found.startswith("# Kites") and OUT not in found


@pytest.mark.parametrize("header", ["", "—", "WEB-1160x768.jpg", "Share this:"])
def test_headers_that_are_none_leave_their_text_to_the_one_above(header: str) -> None:
    blocks = read_blocks(article(f"<p>{KITE}</p>", f"<h2>{header}</h2>", TEXT, TEXT))
    assert [block.text for block in blocks if block.level] == ["Kites"]


def test_a_navigation_header_over_little_stays_for_the_rules_on_sections() -> None:
    assert "## Share this" in text_of(article(TEXT, TEXT, f"<h2>Share this</h2><p>{KITE}</p>"))
    assert "## Related posts" in text_of(article(TEXT, "<h2>Related posts</h2>", TEXT, TEXT))
