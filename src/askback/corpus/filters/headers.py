"""Rules on the header of a section (method.md 1.4). They are for text that has one."""

import re
from functools import lru_cache

PAPER_WORDS = re.compile(r"\b(?:advertise?ments?|forums?|quick links?|free newsletters?)\b")
"""The paper's examples of navigation words; a header that holds one anywhere is dropped, as there."""

OUR_HEADERS = re.compile(
    r"(?:(?:more |other )?(?:related|recent|popular|latest|similar|recommended)"
    r"(?: (?:posts?|articles?|links?|pages?|topics?|content|stories|reading|resources?|videos?|products?|questions?))?"
    r"|share(?: (?:this|on|via))?(?: (?:page|post|article|story|recipe|entry))?|sharing|follow us|subscribe|sign up|log ?in"
    r"|(?:\d+ )?(?:comments?|responses|replies)|(?:leave|post|add|write) a (?:comment|reply|review)"
    r"|(?:table of )?contents|toc|on this page|in this (?:article|section)|(?:main |site )?(?:navigation|menu)|search"
    r"|newsletter|site ?map|categories|tags|archives?|breadcrumbs?|you (?:may|might) also like|read (?:more|next)|see also"
    r"|(?:external )?links|references|bibliography|further reading|footnotes|about the authors?|author|sponsors?"
    r"|cookies?(?: (?:policy|settings|preferences))?|privacy policy|contact(?: us)?"
    r"|change ?log|changes|(?:release|version|change) (?:notes|history|log)|what's (?:new|changed)"
    r"|copyright(?: and licen[cs]e)?|(?:the )?(?:[\w-]+ )?licen[cs]e|licensing"
    r"|(?:our |project |code |core )?(?:contributors|maintainers|authors|backers)|credits|acknowledge?ments?"
    r"|testimonials|citation|citing|how to cite)"
)
"""Ours: a header that is one of these as a whole. As a part of a header such words are ordinary ("Market share")."""
_DAY = r"\d{4}-\d\d-\d\d|(?:\d{1,2} )?[a-z]{3,9}\.? (?:\d{1,2},? )?\d{4}|unreleased"
VERSION = re.compile(
    rf"(?:version |release |v\.? ?)?\d{{1,4}}(?:\.\d{{1,5}}){{1,3}}[a-z\d.+-]{{0,20}}(?:[\s(/–—:,-]{{1,5}}(?:{_DAY})\)?)?",
    re.IGNORECASE,
)
"""Ours too: a header that is a version, with its day or without: what stands under it are changes."""


def empty_header(header: str) -> str | None:
    """Rule "empty-header": a header without a letter or digit (the paper: empty headers). On with `header_rules`."""
    if any(character.isalnum() for character in header):
        return None
    return f"header {header!r}, 0 letters and digits, at least 1 wanted"


def capital_header(header: str) -> str | None:
    """Rule "capital-header": a header of two or more letters, all of them capitals (the paper: all-uppercase). On with
    `header_rules`.

    Letters that have no capitals, as in Chinese or Arabic, are none: a header of these that names an API may stay.
    """
    if not header.isupper():
        return None
    letters = [character for character in header if character.isalpha()]
    if len(letters) < 2 or not all(map(str.isupper, letters)):
        return None
    return f"header {header!r}, {len(letters)} of {len(letters)} letters are capitals, fewer wanted"


@lru_cache(maxsize=4096)
def navigation_header(header: str, whole: bool = False) -> str | None:
    """Rule "navigation-header": a header that holds navigation words. On with `header_rules`.

    The paper gives four examples (`PAPER_WORDS`) and not its list; `OUR_HEADERS` adds the usual ones, matched as a whole.

    Args:
        header: the header's text.
        whole: match the paper's words as a whole too ("The forum of Rome" is no navigation).
    """
    words = " ".join(re.sub(r"[^\w\s'-]", " ", header.lower()).split())
    found = (PAPER_WORDS.fullmatch if whole else PAPER_WORDS.search)(words) or OUR_HEADERS.fullmatch(words)
    found = found or VERSION.fullmatch(header.strip())
    return f"header {header!r}, navigation words {found[0]!r}, none wanted" if found else None
