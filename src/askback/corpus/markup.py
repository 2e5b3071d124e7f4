"""Markdown and reStructuredText → HTML, so that one segmenter serves all markup."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree
from docutils.parsers.rst import Directive, directives, roles
from docutils.utils import unescape
from markdown_it import MarkdownIt

from askback.corpus.bounds import check_rst
from askback.corpus.dialects import use_dialects
from askback.corpus.front_matter import without_front_matter
from askback.corpus.xml import to_html


def from_markdown(text: str) -> str:
    """Return the HTML of CommonMark with tables and HTML in it, front matter and the marks of dialects left out.

    HTML in it is taken as XHTML: ``<a name="x"/>`` is empty, as those who write it mean it.
    """
    return to_html(str(_markdown().render(without_front_matter(text))))


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    return use_dialects(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]))


_SETTINGS = {
    "_disable_config": True,
    "doctitle_xform": False,
    "embed_stylesheet": False,
    "file_insertion_enabled": False,
    "halt_level": 6,
    "initial_header_level": "1",
    "input_encoding": "unicode",
    "line_length_limit": 10_000_000,
    "math_output": "LaTeX",
    "output_encoding": "unicode",
    "raw_enabled": False,
    "report_level": 6,
    "smart_quotes": False,
    "stylesheet_path": "",
    "syntax_highlight": "none",
    "traceback": True,
    "warning_stream": False,
}


def from_rst(text: str) -> str:
    """Return the HTML of reStructuredText, read leniently.

    Directives and roles that docutils does not know (Sphinx has hundreds) leave their text; what cannot be parsed is
    left as a literal block; docutils' own messages never get in. Nothing is included, inserted or executed, nothing
    tells the time, and what a document defines is gone with it.

    Raises:
        TooMuch: it would grow beyond all bounds.
    """
    check_rst(text)
    with _lenient():
        tree = publish_doctree(text, settings_overrides=_SETTINGS)
    for message in list(tree.findall(nodes.system_message)):
        kept = [part for part in message.findall(nodes.literal_block) if not part.astext().startswith("..")]
        message.parent.replace(message, kept)
    for problem in list(tree.findall(nodes.problematic)):
        problem.parent.replace(problem, nodes.Text(problem.astext()))
    return str(publish_from_doctree(tree, writer="html5", settings_overrides=_SETTINGS))


@contextmanager
def _lenient() -> Iterator[None]:
    """While it lasts, docutils finds a directive and a role for every name; Sphinx looks its own up in the same way."""
    directive, role = directives.directive, roles.role
    tables = (vars(roles)["_roles"], vars(roles)["_role_registry"], vars(directives)["_directives"])
    kept = [(table, dict(table)) for table in tables]

    def any_directive(name: str, language: Any, document: Any) -> Any:
        lower = name.lower()
        ours = _Code if lower in _CODE else _Note if lower in _NOTES else _Date if lower == "date" else None
        if ours:
            return ours, []
        known, messages = directive(name, language, document)
        return (known, messages) if known else (_Passage, [])

    def any_role(name: str, language: Any, line: int, reporter: Any) -> Any:
        known, messages = role(name, language, line, reporter)
        return (known, messages) if known else (_mention, [])

    vars(directives)["directive"], vars(roles)["role"] = any_directive, any_role
    try:
        yield
    finally:
        directives.directive, roles.role = directive, role
        for table, before in kept:
            table.clear()
            table.update(before)


_CODE = frozenset("code code-block sourcecode highlight doctest testcode testoutput parsed-literal prompt".split())
_NOTES = {"attention", "caution", "danger", "error", "hint", "important", "note", "seealso", "tip", "todo", "warning"}
_NO_TEXT = re.compile(
    r"auto\w+|toctree|currentmodule|(?:py:)?module|index|tabularcolumns|literalinclude|include|image|raw|"
    r"program-output|command-output|click|argparse|plantuml|graphviz|contributors|bibliography|meta"
)
_LABELS = {
    "versionadded": "New in version ",
    "versionchanged": "Changed in version ",
    "versionremoved": "Removed in version ",
    "deprecated": "Deprecated since version ",
}
_SIGNATURE = re.compile(
    r"(?:\w+:)?(?:function|class|method|attribute|data|exception|decorator|option|envvar|module|\w+method)"
)
_CODE_ROLE = re.compile(
    r"(?:\w+:)?(?:class|func|meth|mod|data|attr|exc|obj|const|file|program|command|option|envvar|type|var|"
    r"function|method|code|kbd|samp|cmd|opt|setting|command|dir|path)",
)


class _AnyOption(dict[str, Any]):
    """Options of a directive: all are taken, none is looked at."""

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        return lambda value: value


class _Code(Directive):
    """A block of code."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _AnyOption()

    def run(self) -> list[nodes.Node]:
        code = "\n".join(self.content)
        language = self.arguments[0] if self.arguments else ""
        return [nodes.literal_block(code, code, classes=["code", language] if language else [])] if code else []


class _Note(Directive):
    """A directive whose first line is text already."""

    has_content = True
    option_spec = _AnyOption()

    def run(self) -> list[nodes.Node]:
        return _parsed(self)


class _Date(Directive):
    """The time of reading, which is no part of a document."""

    has_content = True
    option_spec = _AnyOption()

    def run(self) -> list[nodes.Node]:
        return [nodes.Text("")]


class _Passage(Directive):
    """A directive that docutils does not know: its argument, and what stands in it."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = _AnyOption()

    def run(self) -> list[nodes.Node]:
        found: list[nodes.Node] = []
        if _NO_TEXT.fullmatch(self.name.lower()):
            return found
        if self.arguments and _SIGNATURE.fullmatch(self.name.lower()):
            words = " ".join(self.arguments[0].split())
            found.append(nodes.paragraph("", "", nodes.literal(words, words)))
        elif self.arguments:
            label = _LABELS.get(self.name.lower(), "")
            inline, messages = self.state.inline_text(label + self.arguments[0], self.lineno)
            found += [nodes.paragraph(self.arguments[0], "", *inline), *messages]
        return found + _parsed(self)


def _parsed(directive: Directive) -> list[nodes.Node]:
    around = nodes.container()
    directive.state.nested_parse(directive.content, directive.content_offset, around)
    return around.children


def _mention(name: str, source: str, text: str, *_: Any) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """A role that docutils does not know: the words it shows."""
    words = unescape(text)
    title, target, behind = words.rpartition("<")
    if target and behind.endswith(">") and behind.count(">") == 1:
        words = title.rstrip() or words
    elif _CODE_ROLE.fullmatch(name.lower()):
        words = words.rpartition(".")[2] if words.startswith("~") else words.lstrip("!")
    kind = nodes.literal if _CODE_ROLE.fullmatch(name.lower()) else nodes.inline
    return [kind(source, words)], []
