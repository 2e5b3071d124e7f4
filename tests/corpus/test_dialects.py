"""What the dialects of Markdown add is no text: front matter, attributes, alerts, fences of notes."""

import pytest

from askback.corpus.front_matter import without_front_matter
from askback.corpus.segment import blocks_of
from askback.records import Document, Markup


def lines(text: str, markup: Markup = "markdown") -> list[str]:
    return [block.text for block in blocks_of(Document("u", text, markup, "x"))]


FRONT = [
    "---\ntitle: Kites\ntags: [wind, string]\n---\n",
    "---\ntitle: Kites\n...\n",
    "--- \n# a comment\ntitle:\n  en: Kites\nlist:\n- a\n- b\n\n'quoted': >\n  A long\n\n  text.\n---  \n",
    "---yaml\ntitle: Kites\n---\n",
    "---\n---\n",
    "---\n# made by a program\n\ntitle: Kites\n---\n",
    "---toml\ntitle = 'Kites'\n---\n",
    '+++\ntitle = "Kites"\n[params]\na.b = 1\nlist = [\n  1,\n]\n+++\n',
    ';;;\n"title": "Kites",\n"a": {"b": 1}\n;;;\n',
    '---json\n{\n"title": "Kites"\n}\n---\n',
    '{\n  "title": "Kites",\n  "tags": ["}"]\n}\n',
    '{"title": "Kites"}\n',
    "#+TITLE: Kites\n#+date: 2020-01-01\n#+TAGS[]: wind\n",
    "% Kites\n% A. Writer;\n  B. Writer\n% 2020\n",
    "Title: Kites\nDate: 2020-01-01\nTags: wind,\n  string\n",
    "title: Kites\nauthor: A. Writer\nbase header level: 2\n",
]


@pytest.mark.parametrize("front", FRONT)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "\ufeff", "\n\n", "\ufeff\n"])
def test_front_matter_is_no_text(front: str, end: str, before: str) -> None:
    text = before + (front + "\nA kite needs wind.\n\n# The tail\n\nIt is steady.\n").replace("\n", end)
    assert lines(text) == ["A kite needs wind.", "The tail", "It is steady."]


@pytest.mark.parametrize(
    "text",
    [
        "---\nA kite needs wind.\n---\n\nMore.",
        "---\n\nNote: this is prose.\nAnd it goes on.\n\n---\n\nMore.",
        "---\ntitle: never closed\n\nText.",
        "+++\nis no mark\n",
        "---\n# Baking bread\n\n- Mix the flour.\n- Let it rest.\n\n---\n\nText.",
        "---\n- Mix the flour.\n- Let it rest.\n---\n\nText.",
        "{not json}\n\nText.",
        '{"an": "object"}',
        '[{"a": 1}]\n\nText.',
        "Note: read this.\nIt matters.\n\nText.",
        "Title: alone\n\nText.",
        "Question: why?\nAnswer: because.\n\nText.",
        "% no title block\ngoes on\n",
        "#+1 is a vote\n",
        "---\n" + "key: value\n" * 500 + "---\n",
    ],
)
def test_what_only_looks_like_front_matter_stays(text: str) -> None:
    assert without_front_matter(text) == text


@pytest.mark.parametrize("markup", ["html", "rst", "text"])
def test_front_matter_of_other_files(markup: Markup) -> None:
    for front in FRONT[:6]:
        found = lines(front + ("<p>A kite needs wind.</p>" if markup == "html" else "A kite needs wind.\n"), markup)
        assert found == ["A kite needs wind."], front


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# Kites {#kites-home}", ["Kites"]),
        ("# Kites # {#home .big lang=en}", ["Kites"]),
        ("## Kites {.unnumbered} ##", ["Kites"]),
        ("Kites {#home}\n=====", ["Kites"]),
        ("# Kites {: #home .big }", ["Kites"]),
        ("# Kites {:.no_toc}", ["Kites"]),
        ("# Kites {-}", ["Kites"]),
        ("# Kites {data-x='a b'}", ["Kites"]),
        ("# `code` {#home}", ["code"]),
        ("# Kites\n{: .no_toc }", ["Kites"]),
        ("# Kites and {braces}", ["Kites and {braces}"]),
        ("# f{x} = {y}", ["f{x} = {y}"]),
        ("# Set {#id} in a name", ["Set {#id} in a name"]),
    ],
)
def test_attributes_of_headers(text: str, expected: list[str]) -> None:
    for end in ("\n", "\r\n"):
        assert lines(f"{text}\n\nA kite.".replace("\n", end)) == [*expected, "A kite."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[](){#top}A kite.", ["A kite."]),
        ("A [kite](x){target=_blank} flies.", ["A kite flies."]),
        ("A ![kite](x){: width='10' } flies.", ["A flies."]),
        ("A *kite*{.red} flies.", ["A kite flies."]),
        ("The `kite`{.py} flies.", ["The `kite` flies."]),
        ("A kite.\n{: .note}", ["A kite."]),
        ("{:toc}\n\nA kite.", ["A kite."]),
        ("A kite.\n\n{: .note .big}\nIt flies.", ["A kite.", "It flies."]),
        ("`{#a}` and {x} and {{ y }} and {% z %}", ["`{#a}` and {x} and {{ y }} and {% z %}"]),
        ("```\n# a {#b}\n{: .c}\n:::\n```", ["```\n# a {#b}\n{: .c}\n:::\n```"]),
        ("::: warning\nA kite.\n:::", ["A kite."]),
        ("::: {.note #a}\n\nA kite.\n\n:::", ["A kite."]),
        (":::tip The title\n\nA kite.\n\n:::::", ["The title", "A kite."]),
        ("<a name='x'/>A kite.\n\nIt flies.", ["A kite.", "It flies."]),
    ],
)
def test_attributes_and_fences_are_no_text(text: str, expected: list[str]) -> None:
    for end in ("\n", "\r\n"):
        assert lines(text.replace("\n", end)) == expected


ALERTS = ["NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION", "note", "Info", "abstract", "quote", "my-kind", "faq|left"]


@pytest.mark.parametrize("kind", ALERTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "form",
    ["> [!{}]\n> A kite.", ">[!{}]  \n>A kite.", "> [!{}]-\n> A kite.", ">  [!{}] A kite.", "> [!{}]\n>\n> A kite."],
)
def test_the_mark_of_an_alert_is_no_text(kind: str, end: str, form: str) -> None:
    text = f"Before.\n\n{form.format(kind)}\n\nBehind.\n".replace("\n", end)
    assert lines(text) == ["Before.", "> A kite.", "Behind."]


def test_what_is_no_alert_stays() -> None:
    assert lines("[!NOTE]\nA kite.") == ["[!NOTE] A kite."]
    assert lines("> [!NOTE](x) A kite.") == ["> !NOTE A kite."]
    assert lines("> A kite. [!NOTE]") == ["> A kite. [!NOTE]"]
    assert lines("> [![kite](x)](y) A kite.") == ["> A kite."]


def test_links_of_anchors_hold_no_text() -> None:
    (block,) = blocks_of(Document("u", "[](){#top}<a id='x'/>A kite flies here.", "markdown", "x"))
    assert block.linked == 0
