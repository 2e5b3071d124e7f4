"""Boilerplate of a page: what stands around its text and is never part of it."""

import re
from functools import lru_cache

from askback.corpus.hidden import hidden

UNPARSED = ["script", "style", "xmp", "iframe", "noembed", "noframes", "plaintext", "svg", "template"]
"""Elements removed from the tree at once: their content is not markup of the page."""

AROUND = ["nav", "footer"]
"""The commonest boilerplate, removed from the tree as well, unless it holds most of the page's text."""

UNREAD = ["select", "datalist", "rp", "title"]
"""Elements passed over in reading, whatever stands in them."""

INSTEAD = ["noscript", "textarea", "video", "audio", "canvas", "object"]
"""Elements passed over too, unless they hold half of the page's text: most is shown only where something else is not."""

_ROLES = frozenset(
    "navigation banner contentinfo complementary search menu menubar dialog alertdialog doc-toc doc-backlink".split()
)

_NAMES = frozenset(
    (
        "nav navbar navigation menu sidebar breadcrumb breadcrumbs footer pagination pager ad ads advert adverts "
        "advertisement advertising sponsored promo newsletter subscribe share sharing related cookie cookies comments toc "
        "skip-link headerlink permalink mw-editsection editsection linenos gutter docinfo mw-cite-backlink "
        "footnote-backref footnote-back"
    ).split()
)
"""A class or id that is one of these marks boilerplate."""

_LAST = frozenset("nav navbar menu sidebar breadcrumb breadcrumbs footer newsletter advert pagination".split())
_FIRST = {"share", "sharing", "related", "newsletter", "cookie", "advert", "subscribe"}
_PIECE = frozenset(
    (
        "articles bar banner block box buttons consent form icons items links list notice pages popup posts signup "
        "stories topics widget"
    ).split()
)
"""So does a compound that ends in one of `_LAST` (`site-footer`) or is made of `_FIRST` and `_PIECE` (`share-bar`)."""

_LAYOUT = {"has", "with", "no", "without", "is", "not", "non", "js", "hide", "embed", "quote"}
"""Unless it describes a layout (`has-sidebar`)."""

_WORDS = frozenset(
    (
        "nav navs navbar navigation subnav topnav sidenav mainnav prevnext sitemap masthead menu menus submenu megamenu "
        "dropdown breadcrumb breadcrumbs crumbs topbar toolbar pagination pager paginate paging skiplink sidebar sidebars "
        "rail footer noprint share shares sharing sharedaddy sharethis addtoany addthis social socials follow recommended "
        "recommendation recommendations recirc trending popular yarpp outbrain taboola promo promos promoted promotion "
        "sponsor sponsored sponsors ad ads adv advert adverts advertisement advertising adsense banner banners newsletter "
        "newsletters subscribe subscription signup signin login register optin mailchimp cookie cookies consent gdpr "
        "privacy copyright disclaimer donate modal modals popup popups overlay lightbox tooltip tooltips toast flyout bio "
        "biography author authors tags taglist tagcloud categories search searchform related player"
    ).split()
)
"""Words that mark boilerplate wherever they stand in a class, id or label (left_out.py has how much of it)."""

_COMMENTS = {"comment", "comments", "commentlist", "respond", "reply", "replies", "disqus"}
"""The same of what readers wrote, which may be as much as the page itself."""

_ABOUT = frozenset(
    (
        "byline bylines dateline timestamp pubdate postmeta meta metadata caption captions credit credits date published "
        "posted updated readtime paywall rating ratings"
    ).split()
)
"""The same of a line that says something of the text, never a paragraph."""

_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_JOINED = re.compile(r"(?:related|recommended)[a-z]+|[a-z]+(?:sidebar|newsletter|breadcrumbs?|navbar)")

_EXEMPT = {"html", "body", "main", "article", "td", "tr", "tbody", "table", "img", "br", "hr", "input", "wbr", "col"}
_EXEMPT_OF_WORDS = {"a", "button", "input", "label", "h1", "h2", "h3", "h4", "h5", "h6", "code", "pre"}
_NOTES = {"admonition", "note", "tip", "hint", "important", "warning", "caution", "danger", "info", "callout", "topic"}

MARKED = re.compile(r"\s(class|id|role|style|hidden|aria-hidden|aria-label)=\"([^\"]*)\"")


@lru_cache(maxsize=8192)
def mark(tag: str, attributes: str) -> str:
    """Return how an element, given its serialised attributes, is marked as no part of the text, "" if it is not.

    Hidden ones are as `hidden` says. A "role" is what the page itself declares. "class or id" are matched as a whole; the
    words of `_word` wherever they stand in a class, id or label. The caller keeps an element that would take too much of
    the page with it. "heading" is a header by its role.
    """
    marks = dict(MARKED.findall(attributes))
    return (hidden(tag, marks, attributes) or boilerplate_by_name(tag, marks)) if marks else ""


def boilerplate_by_name(tag: str, marks: dict[str, str]) -> str:
    """Return which of its attributes `class`, `id` and `role` marks an element as boilerplate, or as a header."""
    if tag in _EXEMPT:
        return ""
    role = marks.get("role", "").lower()
    if role in _ROLES:
        return "role"
    given = f"{marks.get('class', '')} {marks.get('id', '')}"
    if any(map(_named, given.lower().split())):
        return "class or id"
    if tag not in _EXEMPT_OF_WORDS and (found := _word(f"{given} {marks.get('aria-label', '')}")):
        return found
    return role if role == "heading" else ""


@lru_cache(maxsize=8192)
def _named(name: str) -> bool:
    if name in _NAMES:
        return True
    words = re.split(r"[-_]+", name)
    if len(words) == 1 or not _LAYOUT.isdisjoint(words):
        return False
    return words[-1] in _LAST or (words[0] in _FIRST and words[-1] in _PIECE)


def _word(given: str) -> str:
    """Return which kind of word stands in classes, ids and labels: "boilerplate word", "comments word", "about word" or
    "", the first of these that is there."""
    found = ""
    for name in given.split():
        words = [word.lower() for word in _PARTS.findall(name)]
        if not _LAYOUT.isdisjoint(words):
            continue
        for word in words:
            if word in _WORDS or _JOINED.fullmatch(word):
                return "boilerplate word"
            if word in _COMMENTS:
                found = "comments word"
            elif word in _ABOUT and not found:
                found = "about word"
    return found


def note(attributes: str) -> bool:
    """Tell whether an `aside` is a note to the text (as documentation tools write them) and not boilerplate."""
    marks = dict(MARKED.findall(attributes))
    return not _NOTES.isdisjoint(marks.get("class", "").lower().split())
