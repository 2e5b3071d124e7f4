"""The rules that drop a segment (method.md 1.4; others' and ours where that is silent).

Each is a plain function that returns None when the segment may stay, else a detail: what was found, and the limit. Its
docstring gives the rule's name, as it is counted, where it is from, and its default. `header_rule` and `text_rule` ask
them one after the other; the first to speak is the one that is recorded.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from askback.corpus.filters.headers import capital_header, empty_header, navigation_header
from askback.corpus.filters.language import other_language
from askback.corpus.filters.lengths import too_long, too_short
from askback.corpus.filters.licences import other_licence
from askback.corpus.filters.prose import no_prose, unfinished
from askback.corpus.filters.repetition import repeated_sentences
from askback.corpus.filters.shares import capitals, digits, links, symbols
from askback.corpus.filters.standalone import leans_on, standalone
from askback.corpus.filters.voice import personal, reinstruct_style
from askback.corpus.filters.word_lists import word_list
from askback.recipe import Corpus
from askback.text.language import language

__all__ = [
    "header_rule",
    "language",
    "leans_on",
    "navigation_header",
    "other_language",
    "other_licence",
    "text_rule",
    "word_list",
]

HEADER_RULES: dict[str, Callable[[str], str | None]] = {
    "navigation-header": navigation_header,
    "empty-header": empty_header,
    "capital-header": capital_header,
}

TEXT_RULES: dict[str, Callable[[str, Corpus], str | None]] = {
    "too-short": too_short,
    "too-long": too_long,
    "no-prose": no_prose,
    "capitals": capitals,
    "symbols": symbols,
    "digits": digits,
    "unfinished": unfinished,
    "personal-voice": personal,
    "reinstruct-style": reinstruct_style,
    "repeated-sentences": repeated_sentences,
    "leans-on-others": standalone,
}
"""In the order they are asked: cheap ones and those that speak often first."""


@lru_cache(maxsize=4096)
def header_rule(header: str, kind: Literal["paper", "web", "none"] = "paper") -> tuple[str, str] | None:
    """Return the rule that a header breaks, and the detail; `kind` is `Corpus.header_rules`."""
    if kind == "web":
        detail = navigation_header(header, whole=True)
        return ("navigation-header", detail) if detail else None
    rules = HEADER_RULES.items() if kind == "paper" else ()
    return next(((name, detail) for name, rule in rules if (detail := rule(header))), None)


def text_rule(text: str, linked: Callable[[], int], options: Corpus) -> tuple[str, str] | None:
    """Return the first rule that a text breaks, and the detail; `linked()` of its characters stood inside links."""
    for name, rule in TEXT_RULES.items():
        if detail := rule(text, options):
            return name, detail
    detail = links(text, linked(), options) if options.max_link_share < 1 else None
    return ("links", detail) if detail else None
