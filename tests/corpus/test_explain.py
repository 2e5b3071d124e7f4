"""What the rules make of one file."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from askback.corpus.cut import cut
from askback.corpus.explain import explain
from askback.corpus.readers.html import read_html
from askback.errors import InputError
from askback.recipe import Corpus
from askback.report.explanation_view import show_explanation

SOURCE = {"format": "html", "path": "x", "licence": "CC0-1.0"}
SMALL = Corpus.model_validate({"sources": [SOURCE], "min_chars": 40, "max_chars": 130, "languages": []})

PAGE = """<p>Before.</p><h1>Top</h1><p>A lead of more than forty characters, with an end.</p>
<h2>Good</h2><p>Another text of more than forty characters here.</p><h3>Part</h3><p>It has a part.</p><h3>Share</h3>Posts
<h2>Gallery</h2><h2>Tiny</h2><p>No.</p><h3>Tinier</h3><p>N.</p>"""


def rows(
    text: str, folder: Path, name: str = "a.html", options: Corpus = SMALL
) -> list[tuple[str, bool, int, str, str]]:
    (folder / name).write_text(text)
    found = explain(folder / name, options).rows
    return [(row.header, row.lead, row.characters, row.verdict, row.rule) for row in found]


def test_every_header_has_its_row(tmp_path: Path) -> None:
    whole = len(PAGE) - len("<p>Before.</p>")  # an upper bound; the exact number is read off below
    found = rows(PAGE, tmp_path)
    assert found[0][:2] == ("Top", False) and 130 < found[0][2] < whole and found[0][3:] == ("dropped", "too-long")
    assert found[1:] == [
        ("Top", True, 50, "kept", ""),
        ("Good", False, 48 + len("\n\n### Part\n\n") + 14, "kept", ""),
        ("Part", False, 14, "in the above", ""),
        ("Share", False, 5, "left out", ""),
        ("Tiny", False, 3 + len("\n\n### Tinier\n\n") + 2, "dropped", "too-short"),
        ("Tinier", False, 2, "not offered", ""),
    ]
    explained = explain(tmp_path / "a.html", SMALL)
    assert (explained.before_headers, explained.bare_headers) == (len("Before."), ["Gallery"])
    assert (explained.markup, explained.licence) == ("html", "CC0-1.0")
    assert explained.rows[0].detail == f"{found[0][2]} characters, at most 130 wanted"


def test_it_says_what_the_run_does(tmp_path: Path) -> None:
    kept = [(row[0], row[2]) for row in rows(PAGE, tmp_path) if row[3] == "kept"]
    outcome = cut(read_html([tmp_path / "a.html"], SMALL.sources[0], SMALL), SMALL)
    assert [(segment.header_path[-1], len(segment.text)) for segment in outcome.kept] == kept


def test_headers_without_text_are_named_at_the_top_of_a_page_too(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<h1>A</h1>a<h1>B</h1>")
    assert explain(tmp_path / "a.html", SMALL).bare_headers == ["B"]


@pytest.mark.parametrize(
    ("name", "text", "header"),
    [("a.md", "# H\n\nText.", "H"), ("a.rst", "H\n=\n\nText.", "H"), ("a.txt", "Text.", ""), ("A.HTM", "Text.", "")],
)
def test_every_markup(name: str, text: str, header: str, tmp_path: Path) -> None:
    assert rows(text, tmp_path, name) == [(header, False, 5, "dropped", "too-short")]


def test_a_document_dropped_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<nav>x</nav>")
    (tmp_path / "b.html").write_text(" ")
    (tmp_path / "c.html").write_text("<link rel=license href=GPL><p>x")
    only = Corpus.model_validate({**SMALL.model_dump(), "licences": ["CC0*"]})
    assert [explain(tmp_path / f"{name}.html", only).rule for name in "abc"] == ["no-sections", "no-text", "licence"]


@pytest.mark.parametrize(("name", "said"), [("none.html", "no such file"), ("a.doc", "found '.doc'")])
def test_other_files_are_refused(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("x")
    with pytest.raises(InputError, match=said):
        explain(tmp_path / name, SMALL)


def test_it_is_shown_as_a_tree(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(PAGE.replace("Good", "[bold]Good"))
    console = Console(width=120, record=True, file=io.StringIO())
    show_explanation(explain(tmp_path / "a.html", SMALL), console)
    text = console.export_text()
    shown = [" ".join(line.split()) for line in text.splitlines()]
    assert "# Top" in text and "\n  (text before the next header)" in text and "\n    ### Part" in text
    assert "## [bold]Good 74 kept" in shown
    assert "### Tinier 2 not offered" in shown
    assert "7 characters before the first header are in no section" in shown
    assert "Headers without text, left out: 'Gallery'" in shown
    assert "2 kept, 124 characters. Duplicates are not looked for here." in shown


def test_a_part_has_a_row_of_its_own_with_its_whole_size(tmp_path: Path) -> None:
    paragraph = ("A sentence of more than forty characters, with an end. " * 3).strip()
    text = "# Top\n\n" + "\n\n".join(paragraph for _ in range(30))
    options = SMALL.model_copy(update={"max_chars": 2500, "long_sections": "all", "drop_copies": False})
    whole, *parts = rows(text, tmp_path, "a.md", options)
    assert whole[2:] == (30 * len(paragraph) + 29 * 2, "dropped", "too-long")
    size = 15 * len(paragraph) + 14 * 2
    assert [row[2:] for row in parts] == [(size, "dropped", "repeated-sentences")] * 2, "more than a rejection keeps"
    (tmp_path / "a.md").write_text(text)
    assert [row.part for row in explain(tmp_path / "a.md", options).rows] == [0, 1, 2]
