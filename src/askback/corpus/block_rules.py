"""Rules on the blocks of a page: what is no part of its text though nothing marks it as such (ours).

A rule never takes most of the page: what would be most of its text stays.
"""

import re
from collections import Counter
from collections.abc import Iterator

from askback.corpus.filters.headers import navigation_header
from askback.corpus.walk import Block
from askback.text.endings import CLOSING, FINAL

LINKED, LINKED_CHARS = 0.6, 400
"""A list, or a block that is in none, goes if more than this share of it is in links and it has fewer characters (a list:
fewer for each item)."""
SENTENCE = 100
"""With as many characters outside of links, and the end of a sentence, it is text."""
INTRODUCTION = 30
"""Characters, at least, of a paragraph that introduces the list below it by a colon."""
CARDS, CARD_CHARS = 3, 400
"""Headers in a row, at least, that are links or whose text breaks off, with at most this many characters under each."""
SHORT = 120
"""Most characters of a byline, a date or a pointer to other pages."""
CALL_CHARS, CALLS = 250, 5
"""A paragraph of fewer characters, among the last five of a page, goes if it calls on its reader to subscribe or follow."""
SWALLOWED, SWALLOWED_CHARS = 0.25, 250
"""A header of a share bar or the like is passed over if more than this share of the page's text stands under it, and this
many characters outside of links."""

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez)[a-zä]{0,8}\.?"
_DATE = (
    rf"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{{0,6}},? )?(?:\d{{1,2}}(?:st|nd|rd|th|\.)? {_MONTH},? \d{{4}}|"
    rf"{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{4}}[-/]\d\d[-/]\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}})"
)
_TIME = r"(?:,? (?:at |um )?\d{1,2}[:.]\d\d(?::\d\d)?(?: ?[ap]\.?m\.?)?(?: (?:uhr|[a-z]{2,4}))?)?"
_ABOUT = re.compile(
    r"(?:(?:last |first )?(?:published|posted|updated|modified|reviewed|written|created|stand|veröffentlicht)"
    rf"(?: on| at| am)?:? )?{_DATE}{_TIME}|\d{{1,3}} min(?:ute)?s?(?: read| ago)?|"
    r"(?:\d{1,6} )?(?:comments?|shares?|views|likes)|"
    r"(?:photo|image|picture|foto|bild|credit|source|quelle)s?(?: credits?:?| by:?| courtesy of|:) .{2,80}|"
    r"advert(?:isement)?|anzeige|publicité|publicidad|"
    r"(?:share|tweet|pin|print|email|e-mail|save|share this|read more|continue reading|back to top|top)"
)
"""A line about the text: when it was published, how long it takes, who took the picture; or a label of the page."""
_BYLINE = re.compile(
    r"(?:[Bb]y|BY|Written by|Posted by|Von|Par|Por|Author:|Text:)"
    r"(?: [A-ZÀ-Þ][\w.'’-]{0,30}[,&]?(?: and| und| et)?){1,6}.{0,40}"
)
_POINTER = re.compile(
    r"(?:read|see|watch|related|also read|more|read more|read also|see also|lesen sie|mehr zum thema|recommended)\b"
    r"[^.!?:]{0,20}:"
)
_CALL = re.compile(
    r"\bsubscribe (?:now|today|here|to (?:our|the|my))|\b(?:our|my|the|free|weekly|daily) newsletter|"
    r"\b(?:follow|like|join|find) (?:us|me) on\b|\bin the comments? (?:below|section)|"
    r"\bbelow in the comments|\bleave a comment|\b(?:download|get) (?:the|our) [^.]{0,40}\bapps?\b|"
    r"\bsign up for (?:our|the|my)\b",
    re.IGNORECASE,
)
_BAR = re.compile(
    r"share(?: (?:this|on|via))?(?: \w+)?|sharing|follow us|subscribe|sign up|log ?in|search|newsletter|"
    r"(?:main |site )?(?:navigation|menu)"
)
_PICTURE = re.compile(r"\S{1,200}\.(?:jpe?g|png|gif|webp|svg)", re.IGNORECASE)
_BREAKS_OFF = ("...", "…")


def text_blocks(blocks: list[Block], left_out: Counter[str]) -> list[Block]:
    """Return the blocks that are text; `left_out` takes the characters of the others, by rule.

    The rules: "links" and "cards" (lists that lead to other pages), "about the text" (bylines, dates, credits, labels),
    "pointer" ("Read also: …"), "call" ("Subscribe to …"), and of headers, whose text then joins that
    above, "empty header", "picture name" and "navigation header".
    """
    total = sum(len(block.text) for block in blocks)
    rules = [_alone(block) for block in blocks]
    _mark(rules, "navigation header", list(_swallowing(blocks, total)))
    _mark(rules, "call", [at for at in _last(blocks) if _CALL.search(blocks[at].text)])
    for rule, found in (("links", list(_links(blocks, rules))), ("cards", list(_cards(blocks)))):
        if 2 * sum(len(blocks[at].text) for at in found) <= total:
            _mark(rules, rule, found)
    for block, rule in zip(blocks, rules, strict=True):
        if rule:
            left_out[rule] += len(block.text)
    return [block for block, rule in zip(blocks, rules, strict=True) if not rule]


def _mark(rules: list[str], rule: str, found: list[int]) -> None:
    for at in found:
        rules[at] = rules[at] or rule


def _alone(block: Block) -> str:
    """Return the rule that a block breaks by itself, or ""."""
    text = block.text
    if block.level:
        if not any(map(str.isalnum, text)):
            return "empty header"
        return "picture name" if _PICTURE.fullmatch(text) else ""
    if len(text) > SHORT:
        return ""
    words = " ".join(text.lower().split())
    if _ABOUT.fullmatch(words.strip(" |·-–—/")) or _BYLINE.fullmatch(text):
        return "about the text"
    label = any(map(str.isalpha, text)) and navigation_header(text, whole=True)  # a number alone may be an answer
    return "pointer" if label or (block.linked and _POINTER.match(words)) else ""


def _last(blocks: list[Block]) -> list[int]:
    """Return the short ones of the last paragraphs."""
    paragraphs = [at for at, block in enumerate(blocks) if not block.level][-CALLS:]
    return [at for at in paragraphs if len(blocks[at].text) < CALL_CHARS and len(paragraphs) == CALLS]


def _swallowing(blocks: list[Block], total: int) -> Iterator[int]:
    """Yield headers of share bars and the like under which stands too much of the page."""
    for at, block in enumerate(blocks):
        if block.level and _BAR.fullmatch(block.text.lower().strip(" :!")):
            end = next((n for n in range(at + 1, len(blocks)) if 0 < blocks[n].level <= block.level), len(blocks))
            under = sum(len(one.text) - one.linked for one in blocks[at + 1 : end])
            if under > max(SWALLOWED * total, SWALLOWED_CHARS):
                yield at


def _links(blocks: list[Block], rules: list[str]) -> Iterator[int]:
    """Yield the blocks of lists, and those in none, that are mostly links; not tables, nor a list that is introduced."""
    at = 0
    while at < len(blocks):
        end = at + 1
        while end < len(blocks) and blocks[end].glue == "\n" and not blocks[end].level:
            end += 1
        found = blocks[at:end]
        size, linked = sum(len(block.text) for block in found), sum(block.linked for block in found)
        text = not found[0].level and not found[0].text.startswith("|")
        text &= size - linked < SENTENCE or not found[-1].text.rstrip(CLOSING).endswith(FINAL)
        if text and linked > LINKED * size and size < LINKED_CHARS * len(found) and not _introduced(blocks, at, rules):
            yield from range(at, end)
        at = end


def _introduced(blocks: list[Block], at: int, rules: list[str]) -> bool:
    if not at or blocks[at - 1].level or rules[at - 1]:
        return False
    before = blocks[at - 1].text
    return before.endswith((":", "：")) and len(before) >= INTRODUCTION


def _cards(blocks: list[Block]) -> Iterator[int]:
    """Yield runs of headers, each over a few lines, that lead to other pages."""
    starts = [*(at for at, block in enumerate(blocks) if block.level), len(blocks)]
    run: list[int] = []
    for at, end in zip(starts, [*starts[1:], len(blocks)], strict=True):
        if at < end and _card(blocks[at], blocks[at + 1 : end]):
            run.append(at)
            continue
        if len(run) >= CARDS:
            yield from range(run[0], at)
        run = []


def _card(header: Block, under: list[Block]) -> bool:
    breaks_off = any(block.text.rstrip(" »]").endswith(_BREAKS_OFF) for block in under[:2])
    linked = 0 < 0.8 * len(header.text) <= header.linked
    return sum(len(block.text) for block in under) <= CARD_CHARS and (breaks_off or linked)
