"""XHTML read as XHTML, and code of programs left out of pages."""

import time
from pathlib import Path

import pytest

from askback.corpus.readers import documents
from askback.corpus.segment import blocks_of
from askback.corpus.xml import is_xhtml, to_html, without_code
from askback.recipe import Corpus, CorpusSource
from askback.records import Document

TOP = '<?xml version="1.0" encoding="UTF-8"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'
BODY = "<h1>Kites</h1><p>A kite needs wind.</p><h2>The tail</h2><p>A tail keeps it steady.</p>"
LINES = ["Kites", "A kite needs wind.", "The tail", "A tail keeps it steady."]


def read(text: str, name: str, folder: Path) -> Document:
    (folder / name).write_text(text, "utf-8")
    source = CorpusSource(format="html", path=str(folder / name))
    (found,) = documents(source, [folder / name], Corpus(sources=[source]))
    assert isinstance(found, Document)
    return found


def lines(document: Document) -> list[str]:
    return [block.text for block in blocks_of(document)]


EMPTY = ["script", "style", "title", "textarea", "iframe", "div", "a", "span", "p", "b", "li", "noscript", "select"]
EMPTY += ["button", "aside", "nav", "footer", "form", "template", "object", "video", "svg", "math", "td", "section"]


@pytest.mark.parametrize("tag", EMPTY)
@pytest.mark.parametrize("form", ["<{}/>", '<{} id="a" />', "<{}  class='x > y'\n id=\"b\"/>"])
def test_an_empty_element_swallows_nothing(tag: str, form: str, tmp_path: Path) -> None:
    empty = form.format(tag)
    found = read(
        f"{TOP}<head>{empty}</head><body>{empty}{BODY.replace('<h2>', f'{empty}<h2>')}</body></html>",
        "a.html",
        tmp_path,
    )
    assert found.markup == "xhtml"
    blocks = blocks_of(found)
    assert [block.text for block in blocks] == LINES
    assert not any(block.linked for block in blocks)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (f"{TOP}<body/></html>", "a.html", True),
        (f"\ufeff\n{TOP}", "a.html", True),
        ('<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x"><html>', "a.htm", True),
        ("<!doctype html public '-//w3c//dtd xhtml 1.1//en'><html>", "a.htm", True),
        ("<html lang='en' xmlns='http://www.w3.org/1999/xhtml'>", "a.html", True),
        ('<h:html xmlns:h="http://www.w3.org/1999/xhtml">', "a.html", True),
        ("<html><body>", "chapter.xhtml", True),
        ("<html><body>", "chapter.XHT", True),
        ("<html><body>", "chapter.xml", True),
        ("<!DOCTYPE html><html><body>", "a.html", False),
        ('<!DOCTYPE html PUBLIC "-//W3C//DTD HTML 4.01//EN"><html>', "a.html", False),
        ("<html><body><p>About XHTML and &lt;?xml ?&gt;", "a.html", False),
    ],
)
def test_what_is_xhtml(text: str, name: str, expected: bool) -> None:
    assert is_xhtml(text, name) is expected


def test_a_media_type_says_it_too() -> None:
    assert is_xhtml("<html>", media="application/xhtml+xml") and not is_xhtml("<html>", media="text/html")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p><![CDATA[1 < 2 & <b>3</b>]]></p>", ["1 < 2 & <b>3</b>"]),
        ("<p>a<?target x > y ?>b</p>", ["ab"]),
        ("<?php if ($a > 1) { echo 'x'; } ?><p>a</p>", ["a"]),
        ("<p>a<br></br>b</p>", ["a\nb"]),
        ("<p>&kite;, &wide;</p>", ["paper & string, wide"]),
        ("<p>&nbsp;a&mdash;b&apos;s</p>", ["a—b's"]),
        ("<script><![CDATA[ if (a < b) { '<div/>' } ]]></script><p>a</p>", ["a"]),
        ("<script>//<![CDATA[\n'<script/>'\n//]]></script><p>a</p>", ["a"]),
        ("<!-- <div/> <![CDATA[ --><p>a</p>", ["a"]),
        ("<p>a<a name='x'/>b</p>", ["ab"]),
        ("<p title='<'>a</p>", ["a"]),
        ("<a href=x/>not empty</a>", ["not empty"]),
        ("<script src='a.js'/>var x = 1;</script><p>a</p>", ["a"]),
        ("<p>open<div/><p>never closed", ["open", "never closed"]),
        ("<svg><path d='M0'/><text>x</text></svg><p>a</p>", ["a"]),
        ("<p><![CDATA[never closed</p><p>a</p>", ["never closed", "a"]),
    ],
)
def test_what_xml_has_and_html_has_not(body: str, expected: list[str], tmp_path: Path) -> None:
    entities = "<!DOCTYPE html [<!ENTITY kite \"paper &#38; string\"> <!ENTITY wide 'wide'>]>"
    text = f'<?xml version="1.0"?>{entities}<html xmlns="http://www.w3.org/1999/xhtml"><body>{body}</body></html>'
    assert lines(read(text, "a.xhtml", tmp_path)) == expected


def test_elements_with_a_prefix(tmp_path: Path) -> None:
    text = '<x:html xmlns:x="http://www.w3.org/1999/xhtml"><x:body><x:h1>A</x:h1><x:div/><x:p>B</x:p></x:body></x:html>'
    assert lines(read(text, "a.html", tmp_path)) == ["A", "B"]


def test_html_keeps_its_own_ways(tmp_path: Path) -> None:
    found = read("<!DOCTYPE html><title>T</title><p>a</p><script>'<?php <% '</script><p>b</p>", "a.html", tmp_path)
    assert found.markup == "html" and lines(found) == ["a", "b"]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("a<?php echo '>'; ?>b", "ab"),
        ("a<?= $x->y > 1 ?>b", "ab"),
        ("a<? echo '<p>' ?>b", "ab"),
        ("a<%= x > 1 %>b<%# note %>c", "abc"),
        ("a<!-- <?php --> b ?> c", "a<!-- <?php --> b ?> c"),
        ("a<?xml:namespace prefix = o />b", "a<?xml:namespace prefix = o />b"),
        ("a<script>'<?php'</script>b ?>", "a<script>'<?php'</script>b ?>"),
        ("the text before it is longer <?php if ($a > 1) {", "the text before it is longer "),
        ("a <% b", "a <% b"),
        ("100 <%20 and <% x %>", "100 <%20 and "),
    ],
)
def test_code_of_programs_is_left_out(html: str, expected: str) -> None:
    assert without_code(html) == expected


NEAR_MISSES = [
    '<a b="',
    "<div ",
    "<!--",
    "<![CDATA[",
    "<?php ",
    "<%",
    "<script>",
    "<a b='\"",
    "<title/>",
    "</br ",
    "<script/>",
]


@pytest.mark.parametrize("piece", [*NEAR_MISSES, '<a x="<a x=" y="', '<!ENTITY a "', "<!DOCTYPE a [", "<a/ ", "&a;"])
def test_time_is_linear(piece: str) -> None:
    taken = []
    for size in (25_000, 100_000):
        text = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "' + "b" * 500 + '">]>' + piece * (size // len(piece))
        least = []
        for _ in range(3):
            began = time.process_time()
            to_html(text), without_code(text)
            least.append(time.process_time() - began)
        taken.append(min(least))
    assert taken[1] <= 6 * taken[0] + 0.02
