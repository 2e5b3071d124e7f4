"""Which elements of a page are left out, by rule, and how much text goes with them."""

import re
from collections import Counter
from functools import cached_property
from itertools import accumulate
from math import inf
from typing import NamedTuple

from askback.corpus.boilerplate import MARKED, boilerplate_by_name
from askback.corpus.hidden import VOID

HIDDEN = {"hidden", "style", "class", "tiny", "white"}
LEAST = 250
"""Fewer characters outside of links are never what a page is about."""
MARKED_SHARE = 0.4
"""An element that a class or id marks as boilerplate stays if more than this share of the page's prose stands in it."""


class Most(NamedTuple):
    """What a word in the name of an element may take of a page: shares of its prose, and characters of prose."""

    of_one: float
    of_all: float
    characters: float = inf


WORDS = {"boilerplate word": Most(0.15, 0.5), "comments word": Most(0.5, 0.5), "about word": Most(0.15, 0.2, 300)}
"""For the kinds of words in boilerplate.py."""
_TARGETS = re.compile(r'\s(?:aria-controls|data-(?:bs-)?target|aria-owns|href)="#?([^"\s#]{1,100})"')
_ID = re.compile(r'\sid="([^"]{1,100})"')
_OPENED = re.compile(
    r"(?<![a-z])(?:accordion|collaps|panel|tab-?pane|tab-?content|faq|answer|expand|toggle-?content|spoiler|read-?more|details)"
)
_OTHER = re.compile(
    "modal|popup|pop-up|popover|tooltip|dropdown|drawer|offcanvas|overlay|cookie|consent|menu|lightbox|share|login|"
    "signin|sign-in|cart|newsletter|search|toast|error|warning-msg"
)
_OTHER_ROLES = {
    *("dialog", "alertdialog", "menu", "menubar", "navigation", "tooltip", "search", "listbox", "alert", "status"),
}
_NEAR = 8
"""Largest number of tags between a panel and the button that opens it."""
_IN_LINE = frozenset("a abbr b br cite code em font i img mark s small span strong u wbr".split())
_GROUND = re.compile(r"dark|inverse|(?<![a-z])bg-|hero|banner|cover|btn")


class LeftOut:
    """Decides on the elements of one page, given as tags, their attributes and the text behind each.

    `characters` counts the text of what is left out, by rule. An element that holds half of the page's text is never left
    out, whatever it is marked as: a page is no boilerplate of itself.
    """

    MAX_DOUBTS = 64
    """Largest number of elements that are found too big, after which all others stay; it bounds the work."""

    def __init__(
        self, tags: list[str | None], attributes: list[str | None], texts: list[str], show_hidden: bool = False
    ) -> None:
        self.tags = tags
        self.attributes = attributes
        self.texts = texts
        self.characters: Counter[str] = Counter()
        self.half = sum(map(len, texts)) / 2
        self.hidden = 0
        """Characters outside of links of what was hidden."""
        self._show_hidden = show_hidden
        self._named: Counter[str] = Counter()
        self._doubts = 0
        self._targets: set[str] | None = None

    def marked(self, index: int, rule: str) -> int | None:
        """Return the end of an element that is marked as no part of the text (`mark`), None if it is part of it."""
        if rule in HIDDEN:
            if (end := self._hidden(index, rule)) is not None:
                return end
            marks = dict(MARKED.findall(self.attributes[index] or ""))
            rule = boilerplate_by_name(str(self.tags[index]), marks)
        if rule in WORDS:
            return self.named(index, rule)
        if rule == "class or id" and self._much(index, MARKED_SHARE * self.prose):
            return None
        return self.leave(index, rule, sure=rule == "role") if rule not in ("", "heading") else None

    def named(self, index: int, rule: str) -> int | None:
        """Leave out what a word in its name marks, unless it holds too much of the page's prose, or its title."""
        if self._doubts >= self.MAX_DOUBTS:
            return None
        most = WORDS[rule]
        if self._much(
            index, min(most.characters, most.of_one * self.prose, most.of_all * self.prose - self._named[rule])
        ):
            return None
        end = self.close_of(index)
        if "h1" in self.tags[index:end]:
            return None
        self._named[rule] += self._prose(index, end)
        self.characters[rule] += sum(map(len, self.texts[index:end]))
        return end

    def _much(self, index: int, most: float) -> bool:
        """Tell whether an element has more than `most` characters of prose."""
        if self._doubts < self.MAX_DOUBTS and self._prose(index, self.close_of(index)) > most:
            self._doubts += 1
            return True
        return False

    @cached_property
    def prose(self) -> int:
        """How many characters of the page stand outside of links, without the white space around tags."""
        return self._prose(0, len(self.tags))

    def leave(self, index: int, rule: str, sure: bool = False) -> int | None:
        """Leave out an element and return its end; None if it holds half of the page's text, or of what is `sure` to be
        boilerplate, half outside of links."""
        if self._doubts >= self.MAX_DOUBTS:
            return None
        end = self.close_of(index)
        size = sum(map(len, self.texts[index:end]))
        if size >= self.half and self._too_much(index, end, sure):
            return None
        self.characters[rule] += size
        return end

    def close_of(self, index: int) -> int:
        """Return the index of the end tag that belongs to the start tag at `index`."""
        return self._closes.get(index, len(self.tags) - 1)

    @cached_property
    def _closes(self) -> dict[int, int]:
        opened: dict[str, list[int]] = {}
        closes = {}
        for at, tag in enumerate(self.tags):
            if tag and tag[0] != "/":
                opened.setdefault(tag, []).append(at)
            elif tag and (starts := opened.get(tag[1:])):
                closes[starts.pop()] = at
        return closes

    def _too_much(self, index: int, end: int, sure: bool = True) -> bool:
        if sure and 2 * self._prose(index, end) < max(self.words, 2 * LEAST):
            return False
        self._doubts += 1
        return True

    @cached_property
    def words(self) -> int:
        """How many characters the page has, without the white space around tags."""
        return sum(map(len, map(str.strip, self.texts)))

    def _prose(self, index: int, end: int) -> int:
        """Return how many characters of an element stand outside of links, without the white space around tags."""
        return self._prose_before[end] - self._prose_before[index]

    @cached_property
    def _prose_before(self) -> list[int]:
        sizes = list(map(len, map(str.strip, self.texts)))
        links = 0
        for at, tag in enumerate(self.tags if "a" in self.tags else []):
            links += (tag == "a") - (tag == "/a")
            if links > 0:
                sizes[at] = 0
        return [0, *accumulate(sizes)]

    def _hidden(self, index: int, rule: str) -> int | None:
        if self._doubts >= self.MAX_DOUBTS:
            return None
        end = self.close_of(index)
        size = sum(map(len, self.texts[index:end]))
        if not size or not "".join(self.texts[index:end]).strip():
            return end
        if self._show_hidden or "math" in self.tags[index:end] or self._shown(index, end, rule):
            return None
        if size >= self.half and self._too_much(index, end):
            return None
        self.hidden += self._prose(index, end)
        self.characters["hidden" if rule == "hidden" else f"hidden by {'class' if rule == 'class' else 'style'}"] += (
            size
        )
        return end

    def _shown(self, index: int, end: int, rule: str) -> bool:
        if rule == "tiny":
            return any(tag and tag[0] != "/" and tag not in _IN_LINE for tag in self.tags[index + 1 : end])
        return self._on_other_ground(index) if rule == "white" else self._panel(index, end)

    def _panel(self, index: int, end: int) -> bool:
        """Tell whether a hidden element is a panel that its reader may open: an answer, a tab, what is behind "more"."""
        given = self.attributes[index] or ""
        marks = dict(MARKED.findall(given))
        names = f"{marks.get('class', '')} {marks.get('id', '')}".lower()
        if _OTHER.search(names) or marks.get("role", "").lower() in _OTHER_ROLES or 'aria-modal="true"' in given:
            return False
        if (
            not _OPENED.search(names)
            and marks.get("role") not in ("tabpanel", "region")
            and not self._opened(index, given)
        ):
            return False
        return 2 * self._prose(index, end) >= sum(map(len, map(str.strip, self.texts[index:end])))

    def _opened(self, index: int, given: str) -> bool:
        if any("aria-expanded" in (near or "") for near in self.attributes[max(index - _NEAR, 0) : index]):
            return True
        named = _ID.search(given)
        if not named:
            return False
        if self._targets is None:
            self._targets = set(_TARGETS.findall("\n".join(filter(None, self.attributes))))
        return named[1] in self._targets

    def _on_other_ground(self, index: int) -> bool:
        """Tell whether something around white text says that it stands on another ground, as far as can be seen."""
        depth = 0
        for at in range(index - 1, max(index - 400, -1), -1):
            tag = self.tags[at]
            if not tag or (tag in VOID and tag != "body"):
                continue
            depth += 1 if tag[0] == "/" else -1
            if depth < 0:
                depth = 0
                given = self.attributes[at] or ""
                marks = dict(MARKED.findall(given))
                if (
                    _GROUND.search(marks.get("class", ""))
                    or "background" in marks.get("style", "")
                    or "bgcolor" in given
                ):
                    return True
        return False
