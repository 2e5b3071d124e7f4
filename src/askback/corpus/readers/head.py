"""What an HTML page says of itself: title, licence, author, and the day it was published."""

import json
import re
from collections.abc import Iterator
from datetime import date
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, NamedTuple

_TITLE = re.compile(r"<title\b[^>]{0,500}(?<!/)>([^<]*)", re.IGNORECASE)
_HEAD_TAG = re.compile(r"<(?:link|meta)\b", re.IGNORECASE)
_TAG_CHARS = 2000
_ATTRIBUTE = re.compile(r"""(?<![\w:.-])([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_LICENCE_NAMES = ("license", "dcterms.license", "dc.rights", "dcterms.rights", "copyright")
_DATE_NAMES = ("article:published_time", "dc.date", "dcterms.date", "dc.date.issued", "dcterms.issued")
_AUTHOR_NAMES = ("author", "dc.creator", "dcterms.creator", "article:author")
_STATED = ("licen", "rights", "copyright", "published_time", "dc.date", "dcterms", "author", "creator")
_AUTHOR_CHARS = 200
_HEAD_CHARS = 50_000
_TITLE_CHARS = 2000  # as of a tag; `unescape` fails on a number of more than 4,300 digits
_JSON_LD_SCRIPTS, _JSON_LD_CHARS, _JSON_LD_NODES = 10, 200_000, 1000
_TIME = re.compile(r"<time\b", re.IGNORECASE)
_TIME_CHARS = 340
_DATETIME = re.compile(r"""\bdatetime\s*=\s*["']?(\d{4}-\d\d-\d\d)""", re.IGNORECASE)
_DAY = re.compile(r"\s*(\d{4})-?(\d\d)-?(\d\d)(?!\d)")


class Head(NamedTuple):
    """What a page says of itself, each "" where it says nothing; `date` is a day, YYYY-MM-DD."""

    title: str
    licence: str
    date: str
    author: str


def head(html: str) -> Head:
    """Return the title, licence, day of publication and author that a page states.

    A licence is a ``<link rel="license">``, or the meta element license, dcterms.license, dc.rights or copyright, or the
    `license` of the page's JSON-LD. The day is that of the meta element article:published_time; JSON-LD's
    `datePublished`; the meta element dc.date or dcterms.date or .issued; or the one day that all `time` elements name.
    The author is that of the meta elements author, dc.creator, dcterms.creator or article:author, or JSON-LD's.
    """
    end = html.find("</head", 0, _HEAD_CHARS)
    start = html[: end if end >= 0 else _HEAD_CHARS]
    lower = start.lower()
    title = _TITLE.search(start) if "<title" in lower else None
    words = " ".join(unescape(title[1][:_TITLE_CHARS]).split()) if title else ""
    stated: dict[str, str] = {}
    if any(word in lower for word in _STATED):
        for tag in _head_tags(start):
            given = {name.lower(): unescape(a or b or c).strip() for name, a, b, c in _ATTRIBUTE.findall(tag)}
            if "license" in given.get("rel", "").lower().split():
                stated.setdefault("rel=license", given.get("href", ""))
            else:
                stated.setdefault(given.get("name", given.get("property", "")).lower(), given.get("content", ""))
    linked = _json_ld(html) if "ld+json" in html else {}
    licences = [*(stated.get(name) for name in ("rel=license", *_LICENCE_NAMES)), linked.get("license")]
    first, *others = _DATE_NAMES
    dates = [stated.get(first), linked.get("datePublished"), *(stated.get(name) for name in others)]
    days = (day(one) for one in dates if one)
    authors = [*(stated.get(name) for name in _AUTHOR_NAMES), linked.get("author")]
    author = next((one[:_AUTHOR_CHARS] for one in authors if one and "://" not in one), "")
    return Head(words, next(filter(None, licences), ""), next(filter(None, days), "") or _only_time(html), author)


def day(text: str) -> str:
    """Return the day a date begins with (2024-05-01T09:00Z, 20240501) as YYYY-MM-DD, or "" if it is none."""
    match = _DAY.match(text)
    try:
        found = date(*map(int, match.groups())) if match else None
    except ValueError:
        return ""
    return found.isoformat() if found and found.year >= 1900 else ""


def modified(last_modified: str, fetched: str) -> str:
    """Return the day of an HTTP Last-Modified, or "".

    Args:
        last_modified: the header.
        fetched: when the page was fetched (WARC-Date). Servers that make a page on request give that very day, which says
            nothing of the page, and neither does the day of the crawl; so both give "".
    """
    try:
        found = parsedate_to_datetime(last_modified).date().isoformat() if last_modified else ""
    except (ValueError, TypeError, OverflowError):
        return ""
    return day(found) if found != day(fetched) else ""


def _only_time(html: str) -> str:
    tags = (html[tag.end() : tag.end() + _TIME_CHARS].partition(">")[0] for tag in _TIME.finditer(html))
    days = {found[1] for tag in tags if (found := _DATETIME.search(tag))} if "<time" in html else set()
    return day(days.pop()) if len(days) == 1 else ""


def _head_tags(html: str) -> Iterator[str]:
    """Yield the link and meta elements that end within `_TAG_CHARS` characters, none of them inside another."""
    end = 0
    for found in _HEAD_TAG.finditer(html):
        if found.start() >= end and (close := html.find(">", found.end(), found.end() + _TAG_CHARS)) >= 0:
            end = close + 1
            yield html[found.start() : end]


def _json_ld(html: str) -> dict[str, str]:
    """Return `license`, `datePublished` and `author` of the page, as far as its JSON-LD gives them."""
    found: dict[str, str] = {}
    end = 0
    for _ in range(_JSON_LD_SCRIPTS):
        named = html.find("application/ld+json", end)
        start = html.find(">", named) + 1
        if named < 0 or not start:
            break
        end = max(html.find("</script", start, start + _JSON_LD_CHARS), start)
        try:
            tree = json.loads(html[start:end])
        except (ValueError, RecursionError):
            continue
        for node in _nodes(tree):
            for key in ("license", "datePublished", "author"):
                if value := _value(node.get(key), name_first=key == "author"):
                    found.setdefault(key, value)
    return found


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield what JSON-LD says of the page itself, not of its pictures, videos, comments or data sets."""
    waiting = [tree]
    for _ in range(_JSON_LD_NODES):
        if not waiting:
            return
        node = waiting.pop(0)
        if isinstance(node, list):
            waiting += node[:_JSON_LD_NODES]
        elif isinstance(node, dict):
            kind = str(node.get("@type", ""))
            if not any(other in kind for other in ("Object", "Comment", "Review", "Dataset", "Software", "Clip")):
                yield node
                waiting += [node[key] for key in ("@graph", "mainEntity", "mainEntityOfPage") if key in node]


def _value(value: Any, name_first: bool) -> str:
    """Return a text, or the address or name of what is given as an object or a list."""
    for _ in range(3):
        if isinstance(value, list):
            value = value[0] if value else ""
        elif isinstance(value, dict):
            keys = ("name", "url", "@id", "@value") if name_first else ("url", "@id", "name", "@value")
            value = next((value[key] for key in keys if value.get(key)), "")
    return " ".join(value.split())[:500] if isinstance(value, str) else ""
