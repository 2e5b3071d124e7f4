"""Boilerplate of a page: what stands around its text and is never part of it."""

import re
from functools import lru_cache

from askback.corpus.hidden import hidden

UNPARSED = ["script", "style", "xmp", "iframe", "noembed", "noframes", "plaintext", "svg", "template"]
"""Elements removed from the tree at once: their content is not markup of the page."""

AROUND = ["nav", "footer"]
"""The commonest furniture, removed from the tree as well, unless it holds most of the page's text."""

UNREAD = ["select", "datalist", "rp", "title"]
"""Elements passed over in reading, whatever stands in them."""

INSTEAD = ["noscript", "textarea", "video", "audio", "canvas", "object"]
"""Elements passed over too, unless they hold half of the page's text: most is shown only where something else is not."""

_ROLES = {
    *("navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "dialog", "alertdialog"),
    *("doc-toc", "doc-backlink"),
}

_NAMES = {
    *("nav", "navbar", "navigation", "menu", "sidebar", "breadcrumb", "breadcrumbs", "footer", "pagination", "pager"),
    *("ad", "ads", "advert", "adverts", "advertisement", "advertising", "sponsored", "promo"),
    *("newsletter", "subscribe", "share", "sharing", "related", "cookie", "cookies", "comments", "toc", "skip-link"),
    *("headerlink", "permalink", "mw-editsection", "editsection", "linenos", "gutter", "docinfo"),
    *("mw-cite-backlink", "footnote-backref", "footnote-back"),
}
"""A class or id that is one of these marks furniture."""

_LAST = {
    "nav",
    "navbar",
    "menu",
    "sidebar",
    "breadcrumb",
    "breadcrumbs",
    "footer",
    "newsletter",
    "advert",
    "pagination",
}
_FIRST = {"share", "sharing", "related", "newsletter", "cookie", "advert", "subscribe"}
_PIECE = {
    *("articles", "bar", "banner", "block", "box", "buttons", "consent", "form", "icons", "items", "links", "list"),
    *("notice", "pages", "popup", "posts", "signup", "stories", "topics", "widget"),
}
"""So does a compound that ends in one of `_LAST` (`site-footer`) or is made of `_FIRST` and `_PIECE` (`share-bar`)."""

_LAYOUT = {"has", "with", "no", "without", "is", "not", "js", "hide"}
"""Unless it describes a layout (`has-sidebar`)."""

_EXEMPT = {"html", "body", "main", "article", "td", "tr", "tbody", "table", "img", "br", "hr", "input", "wbr", "col"}
_NOTES = {"admonition", "note", "tip", "hint", "important", "warning", "caution", "danger", "info", "callout", "topic"}

MARKED = re.compile(r"\s(class|id|role|style|hidden|aria-hidden)=\"([^\"]*)\"")


@lru_cache(maxsize=8192)
def mark(tag: str, attributes: str) -> str:
    """Return how an element, given its serialised attributes, is marked as no part of the text, "" if it is not.

    Hidden ones are as `hidden` says. A "role" is what the page itself declares. "class or id" are matched as whole words.
    The caller keeps an element that would take most of the page with it. "heading" is a header by its role.
    """
    marks = dict(MARKED.findall(attributes))
    return (hidden(tag, marks, attributes) or furniture(tag, marks)) if marks else ""


def furniture(tag: str, marks: dict[str, str]) -> str:
    """Return which of its attributes `class`, `id` and `role` marks an element as furniture, or as a header."""
    if tag in _EXEMPT:
        return ""
    role = marks.get("role", "").lower()
    if role in _ROLES:
        return "role"
    names = f"{marks.get('class', '')} {marks.get('id', '')}".lower().split()
    if any(map(_named, names)):
        return "class or id"
    return role if role == "heading" else ""


@lru_cache(maxsize=8192)
def _named(name: str) -> bool:
    if name in _NAMES:
        return True
    words = re.split(r"[-_]+", name)
    if len(words) == 1 or not _LAYOUT.isdisjoint(words):
        return False
    return words[-1] in _LAST or (words[0] in _FIRST and words[-1] in _PIECE)


def note(attributes: str) -> bool:
    """Tell whether an `aside` is a note to the text (as documentation tools write them) and not page furniture."""
    marks = dict(MARKED.findall(attributes))
    return not _NOTES.isdisjoint(marks.get("class", "").lower().split())
