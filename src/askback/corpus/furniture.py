"""Page furniture: what stands around a page's text and is never part of it."""

import re
from functools import lru_cache
from typing import Literal

UNPARSED = ["script", "style", "xmp", "iframe", "noembed", "noframes", "plaintext", "svg", "template", "nav", "footer"]
"""Elements removed from the tree at once: those whose content is not markup, and the commonest furniture."""

UNREAD = ["noscript", "select", "textarea", "video", "audio", "canvas", "datalist", "object", "rp", "title"]
"""Elements passed over in reading, whatever stands in them."""

_ROLES = {
    *("navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar"),
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

_MARKED = re.compile(r"\s(class|id|role|hidden|aria-hidden)=\"([^\"]*)\"")


@lru_cache(maxsize=8192)
def furniture(tag: str, attributes: str) -> Literal["", "sure", "likely"]:
    """Tell whether an element, given its serialised attributes, is furniture.

    "sure" is what the page itself declares (its role, or that it is hidden). "likely" goes by class and id, which are
    matched as whole words; the caller keeps an element that would take most of the page with it.
    """
    if tag in _EXEMPT:
        return ""
    marks = dict(_MARKED.findall(attributes))
    if not marks:
        return ""
    if marks.get("role", "").lower() in _ROLES or marks.get("aria-hidden") == "true":
        return "sure"
    if marks.get("hidden", "until-found") != "until-found":
        return "sure"
    names = f"{marks.get('class', '')} {marks.get('id', '')}".lower().split()
    return "likely" if any(_named(name) for name in names) else ""


def _named(name: str) -> bool:
    if name in _NAMES:
        return True
    words = re.split(r"[-_]+", name)
    if len(words) == 1 or not _LAYOUT.isdisjoint(words):
        return False
    return words[-1] in _LAST or (words[0] in _FIRST and words[-1] in _PIECE)


def note(attributes: str) -> bool:
    """Tell whether an `aside` is a note to the text (as documentation tools write them) and not page furniture."""
    marks = dict(_MARKED.findall(attributes))
    return not _NOTES.isdisjoint(marks.get("class", "").lower().split())
