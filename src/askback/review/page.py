"""The page as HTML. Text of documents is text: Markdown is rendered without links or markup, the rest escaped."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askback.review.queues import MODES, NOTHING, QUEUES
from askback.review.session import Screen
from askback.text.plain import plain

if TYPE_CHECKING:
    from jinja2 import Template

HERE = Path(__file__).parent
RENDERED = 20_000
"""Characters of the longest text that is shown as Markdown; a longer one is shown as it is written."""
NESTED = 90
"""Levels of lists and quotations from which on a text is shown as it is written: the renderer drops what is deeper."""
NO_MARKUP = ("link", "image", "autolink", "html_inline", "html_block", "reference", "entity")
"""What of Markdown stays as it is written: nothing leads out of the page or is fetched."""


def page(screen: Screen, run: str, by: str, choices: Mapping[str, Sequence[str]]) -> str:
    """Return the whole page."""
    return _template().render(
        screen=screen, run=run, by=by, choices=choices, queues=QUEUES, modes=MODES, nothing=NOTHING
    )


@lru_cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    files = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    files.filters |= {
        "shown": shown,
        "plain": plain,
        "score": score,
        "twice": lambda values: [(one, one) for one in values],
    }
    return files.get_template("page.html")


def score(value: float | None) -> str:
    """Return a score in words."""
    return "no score" if value is None else f"{value:.2f}"


def shown(text: str, raw: str = "") -> Any:
    """Return a text as HTML: rendered, or as it is written, where `raw` says so and where it is too long or nested."""
    from markupsafe import Markup

    visible, markdown = plain(text), _markdown()
    parsed = [] if raw or len(visible) > RENDERED else markdown.parse(visible)
    if not parsed or max(token.level for token in parsed) >= NESTED:
        return Markup('<pre class="text">{}</pre>').format(visible)
    for token in parsed:
        token.attrs.pop("style", None)  # of an aligned column; the page's policy allows none
    return Markup(markdown.renderer.render(parsed, markdown.options, {}))  # which escapes all that is not its own


@lru_cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    return (
        MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": NESTED + 10})
        .enable(["table", "strikethrough"])
        .disable(NO_MARKUP)
    )
