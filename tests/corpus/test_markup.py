"""Markdown and reStructuredText → HTML → sections, without losing words or leaking markup."""

import docutils.parsers.rst.directives as directives
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askback.corpus.markup import from_markdown, from_rst
from askback.corpus.page import read_blocks
from askback.corpus.segment import segment
from askback.records import Document, Markup


def only_text(text: str, markup: Markup) -> str:
    (section,) = segment(Document("u", text, markup, "test"))
    return section.text()


def test_markdown_keeps_its_structure() -> None:
    source = "---\ntitle: x\n---\n# T\n\n[![badge](b.svg)](x) \n\nUse `a` *now*, see [docs](http://x).\n\n"
    source += "> [!NOTE]\n> Mind.\n\n1. one\n2. two\n   - sub\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n"
    assert only_text(source, "markdown") == (
        "Use `a` now, see docs.\n\n> Mind.\n\n1. one\n2. two\n   - sub\n\n"
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n\n```py\nx = 1\n```"
    )


RST = """
Title
=====

.. code-block:: python
   :caption: hello
   :linenos:

   print(1)

Use :class:`~a.b.Foo`, :ref:`the guide <guide>`, :func:`!run`, ``lit`` and `gone`_ or *bad |sub|.

.. note::
   :weird: option

   Mind this.

.. versionadded:: 1.2
   A *new* thing.

.. tabs::

   .. tab:: Linux

      Tabbed text.

.. function:: go(fast)

   Goes.

Sub
---

term
  meaning
"""


def test_rst_of_sphinx_keeps_its_words() -> None:
    assert only_text(RST, "rst") == (
        "```python\nprint(1)\n```\n\nUse `Foo`, the guide, `run`, `lit` and `gone`_ or *bad |sub|.\n\nMind this.\n\n"
        "New in version 1.2 A new thing.\n\nLinux\n\nTabbed text.\n\n`go(fast)`\n\nGoes.\n\n## Sub\n\nterm\n: meaning"
    )


@pytest.mark.parametrize(
    "source",
    [
        ".. include:: /etc/passwd",
        ".. raw:: html\n   :file: /etc/passwd",
        ".. csv-table::\n   :file: /etc/passwd",
        ".. literalinclude:: /etc/passwd",
        ".. raw:: html\n\n   <b>root:</b>",
        ".. image:: root:.png\n   :unknown: x",
        ".. automodule:: root:\n   :members:",
    ],
)
def test_rst_inserts_nothing_and_shows_no_errors(source: str) -> None:
    text = only_text(f"T\n=\n\nBefore.\n\n{source}\n\nAfter.", "rst")
    assert text == "Before.\n\nAfter."


def test_rst_that_cannot_be_parsed_stays_as_it_is() -> None:
    text = only_text("T\n=\n\n=== ==\nbad table\n=== =\n\nAfter.", "rst")
    assert text == "```\n=== ==\nbad table\n=== =\n```\n\nAfter."


def test_docutils_is_left_as_it_was() -> None:
    before = directives.directive
    from_rst(".. anything:: x")
    assert directives.directive is before


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab*`_|:.<>=-#[]()\\\n ", max_size=120))
def test_any_text_is_converted(text: str) -> None:
    assert "system-message" not in from_rst(text)
    assert isinstance(from_markdown(text), str)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["---", "a: b", "---", "# T"], True),
        (["\ufeff---", "a: b", "...", "# T"], True),
        (["--- ", *["a: b"] * 200, "---\t", "# T"], True),
        (["---", *["a: b"] * 450, "---", "# T"], False),
        (["---", *["a: b"] * 60], False),
        (["---", *[""] * 60, "--"], False),
        (["----", "a: b", "---", "# T"], False),
    ],
)
def test_front_matter_is_left_out_where_it_ends(lines: list[str], left: bool, end: str) -> None:
    html = from_markdown(end.join(lines))
    assert ("a: b" not in html and "<h1>T</h1>" in html) == left


@pytest.mark.parametrize(
    ("role", "words"),
    [
        (":ref:`The guide <guide>`", "The guide"),
        (":ref:`The guide<guide>`", "The guide"),
        (":ref:`<guide>`", "&lt;guide&gt;"),
        (":doc:`a <b> c`", "a &lt;b&gt; c"),
        (":doc:`a < b`", "a &lt; b"),
        (":doc:`a <b <c>`", "a &lt;b"),
    ],
)
def test_a_role_shows_its_title(role: str, words: str) -> None:
    assert f">{words}<" in from_rst(role)


def test_headers_that_lead_back_to_the_contents_keep_their_words() -> None:
    text = "Kites\n=====\n\n.. contents::\n\nTail\n----\n\nIt is long.\n\nFrame\n-----\n\nIt is light.\n"
    blocks = read_blocks(from_rst(text), main=False)
    assert [block.text for block in blocks if block.level] == ["Kites", "Tail", "Frame"]
