"""What the rules read of a text: its words and their stems, names' first letters, amounts, addresses, lists."""

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from unicodedata import category, normalize

from askback.rewrite.amounts import Amount, amounts, dates
from askback.text.language import ENGLISH
from askback.text.prose import without_code
from askback.text.words import in_a_row, word_set, words

STOP = ENGLISH | set(
    "about above after again against all also although am another any because before being below between both but could "
    "did do does doing done down during even every few first get gets got here him himself his her hers however i its "
    "itself just like made many may me might more most much must my no nor now off once one only out over own per same "
    "she he so some such then therefore through thus to too under until up upon us very via was what whether where which "
    "while whom whose why within without yet yours so ensure include including".split()
)


class Text:
    """A text with what the rules read of it, each part when it is first asked for."""

    def __init__(self, text: str, language: str = "") -> None:
        self.text, self.language = text, language

    @cached_property
    def words(self) -> list[str]:
        """The words, without accents."""
        return words(plain(self.text))

    @cached_property
    def known(self) -> frozenset[str]:
        """The stems of the words, and the words as they are."""
        return frozenset(self.words) | frozenset(map(stem, self.words))

    @cached_property
    def acronyms(self) -> frozenset[str]:
        """The first letters of words in a row, as of "United Kingdom", and words written with stops between letters."""
        runs = [
            one[0].split() for one in re.finditer(r"\b[A-Z]\w+(?:\s(?:(?:of|and|for|the)\s)?[A-Z]\w+){1,6}", self.text)
        ]
        found = {"".join(word[0] for word in run if word[0].isupper()).lower() for run in runs}
        found |= {"".join(word[0] for word in run).lower() for run in runs}
        return frozenset(
            found | {one[0].replace(".", "").lower() for one in re.finditer(r"\b(?:[A-Za-z]\.){2,}", self.text)}
        )

    @cached_property
    def amounts(self) -> list[Amount]:
        """The numbers, those of dates among them."""
        return list(amounts(self.text))

    @cached_property
    def values(self) -> frozenset[object]:
        """The values of the numbers, fields of dates, and the sizes of lists."""
        found = {value for one in self.amounts for value in one.values}
        found |= {
            value
            for date in dates(self.text)
            for fields in date.readings
            for name, value in fields
            if name in ("year", "day")
        }
        return frozenset(found | set(list_sizes(self.text)))

    @cached_property
    def counts(self) -> dict[str, set[Any]]:
        """What is counted → its numbers: teaspoon → 1.5 of "1½ teaspoons"; "" → none."""
        found: dict[str, set[Any]] = {"": set()}
        for one in self.amounts:
            if what := counted(self.text, one):
                found.setdefault(what, set()).update(one.values)
        return found

    @cached_property
    def squeezed(self) -> str:
        """The text for comparison as it is written, without white space."""
        return "".join(normalize("NFKC", self.text).split())

    def grams(self, size: int) -> frozenset[tuple[str, ...]]:
        """Return all runs of `size` words."""
        return frozenset(zip(*(self.words[at:] for at in range(size)), strict=False))


def plain(text: str) -> str:
    """Return a text without accents and possessive endings."""
    if not text.isascii():
        text = "".join(letter for letter in normalize("NFKD", text) if category(letter) != "Mn")
    return re.sub(r"[’'´`]s\b", "", text)


def stem(word: str) -> str:
    """Return what the forms of a word share, roughly: cities and city, running and run, quickly and quick."""
    for ending in ("ing", "ed", "ly"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            word = word[: -len(ending)]
            word = word[:-1] if word[-1] == word[-2] and word[-1] not in "aeiouls" else word
            break
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 3 and word[-1] in "ey":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word[-1] == "i" else word


MEASURES = frozenset(
    map(
        stem,
        "second minute hour day week month year decade century metre meter kilometre kilometer mile foot inch gram "
        "kilogram tonne ounce litre liter gallon pint cup teaspoon tablespoon degree watt volt acre hectare".split(),
    )
)
_WORD = re.compile(r"[ -]?([^\W\d_]{3,})")


def counted(text: str, one: Amount) -> str:
    """Return what a number counts: the measure behind it, or the two words before one with a unit; "" of others."""
    if one.unit:
        label = words(plain(text[: one.start].rpartition("\n")[2]))[-2:]
        return " ".join([*label, one.unit]) if len(label) == 2 else ""
    found = _WORD.match(text, one.end)
    measure = stem(found[1].lower()) if found else ""
    return measure if measure in MEASURES else ""


def spelled(word: str) -> str:
    """Return a form that American and British spellings of a word share, roughly: colour, practise, centre, travelled."""
    word = word.replace("our", "or").replace("z", "s").replace("c", "s").replace("ll", "l")
    return re.sub(r"re$", "er", word)


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, without code."""
    return re.split(r"(?<=[.!?。！？])\s+|\n+", without_code(text))


def list_sizes(text: str) -> Iterator[int]:
    """Yield the number of items of each list of a text."""
    count = 0
    for line in [*text.splitlines(), "end"]:
        if re.match(r"\s*(?:[-*•+]|\d{1,2}[.)])\s", line):
            count += 1
        elif line.strip() and not line.startswith((" ", "\t")):
            if count:
                yield count
            count = 0


def content(text: str) -> list[str]:
    """Return the words of a text that are no function words; in scripts without spaces, runs of letters."""
    found = words(re.sub(r"\b[a-zA-Z]+n[’']t\b", " ", plain(text)))
    if in_a_row(found, 10) > 11:
        return sorted(word_set(text))
    return [word for word in found if len(word) > 2 and word not in STOP]


URL = re.compile(
    r"(?:https?://|www\.)[^\s<>()\[\]\"“”]+|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\w.-])(?:[\w-]+\.)+(?:com|org|net|edu|gov|io|uk|de|eu)\b[^\s<>()\[\]\"“”]*"
)


def addresses(text: str) -> Iterator[str]:
    """Yield the URLs and e-mail addresses of a text."""
    for found in URL.finditer(text):
        yield re.sub(r"^(?:https?://)?(?:www\.)?", "", found[0].rstrip(".,;:!?'’*_`").lower()).rstrip("/")


SHOWN = 5
"""Number of missing things that a detail names."""


def missing(found: Iterable[str]) -> str:
    """Return the detail of things that are not in the source, "" for none."""
    some = list(dict.fromkeys(found))
    return f"not in the source: {', '.join(repr(one[:80]) for one in some[:SHOWN])}" if some else ""
