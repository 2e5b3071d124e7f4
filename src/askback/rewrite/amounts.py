"""Numbers, dates and times in a text, by their values: 1,000 is 1000, ½ is 0.5, five percent 5 %, 12 March 2012-03-12.

A text may be read in several ways ("1.000", "03/04/2020"); all are kept, and two amounts agree where one reading does.
Words are English, digits and signs of any language.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

UNITS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen "
    "nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
PARTS = {"half": 2, "halves": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "eighth": 8, "tenth": 10}
VALUES = {word: at for at, word in enumerate(UNITS, 1)} | {word: 10 * at for at, word in enumerate(TENS, 2)}
SHORT = {"k": 10**3, "m": 10**6, "mn": 10**6, "bn": 10**9, "b": 10**9, "tn": 10**12}
CURRENCIES = {
    "usd": r"US\$|\$|USD\b|dollars?\b|bucks\b",
    "eur": r"€|EUR\b|euros?\b",
    "gbp": r"£|GBP\b|pounds?(?:[ ]sterling)?\b",
    "jpy": r"[¥￥]|JPY\b|yen\b",
    "inr": r"₹|INR\b|Rs\.?|rupees?\b",
    "chf": r"CHF\b|Swiss[ ]francs?\b",
}
PERCENT = r"%|％|percent\b|per[ -]cent\b|pct\b|percentage[ ]points?\b"
_MARKS = {"percent": PERCENT, **CURRENCIES}
_ANY_MARK = "|".join(f"(?P<{{side}}_{name}>{pattern})" for name, pattern in _MARKS.items())
_SPACE = "[ \u00a0\u2009\u202f]"
_WORDS = "|".join([*TENS, *sorted(UNITS, key=len, reverse=True), *SCALES])
_DIGITS = rf"\d{{1,3}}(?:[.,'’]\d{{3}}|{_SPACE}\d{{3}}(?!\d))+(?:[.,]\d+)?(?!\d)|\d+(?:[.,]\d+)?"
_NUMBER = re.compile(
    rf"""(?<!\w)(?<!\w[./])(?:{_ANY_MARK.format(side="before")})?{_SPACE}?(?P<minus>[-−](?=\d))?
    (?:
      (?P<literal>\d+(?:[.:/-]\d+){{2,}})
      | (?P<top>\d+){_SPACE}?[/⁄]{_SPACE}?(?P<bottom>\d+)(?![\d/])
      | (?P<digits>{_DIGITS})(?:{_SPACE}?(?P<odd>[¼-¾⅐-⅞])|{_SPACE}(?P<over>\d+)[/⁄](?P<under>\d+))?
        (?:(?:st|nd|rd|th)\b)?
      | (?P<vulgar>[¼-¾⅐-⅞])
      | (?P<ordinal>\b(?:(?:{"|".join(TENS)})-)?(?:{"|".join(ORDINALS)})\b)
      | (?P<words>\b(?:an?\s)?(?:{_WORDS})(?:[\s-]+(?:and\s+)?(?:{_WORDS}))*\b(?![\s-](?:{"|".join(PARTS)}))
          (?P<and_half>\s+and\s+a\s+half\b)?)
      | (?P<part>\bhal(?:f|ves)\b
          | \b(?P<many>an?|{"|".join(UNITS[:9])})[\s-](?:half|(?:third|quarter|fourth|fifth|eighth|tenth)s?)\b)
    )
    (?:(?:{_SPACE}|-)?(?P<scale>(?:{"|".join(SCALES)})s?\b|(?:mn|bn|tn|k|m|b)\b))?
    (?:{_SPACE}|-)?(?:{_ANY_MARK.format(side="after")})?""",
    re.VERBOSE | re.IGNORECASE,
)

_PLAIN = str.maketrans("\u017f\u212a\u0130\u0131", "skii")
"""Letters that a pattern without regard to case takes for s, k and i, and that `lower` leaves as they are."""
MOST_CHARS = 1000
"""A longer number has no value; `int` fails on more than 4,300 digits."""


@dataclass(frozen=True)
class Amount:
    """A number as it is `said`, its values, and what it counts: "percent", a currency, "" of anything else.

    `kind` is "digits", "words", "ordinal" or "literal" (2.1.3, 10:30:00), whose value is the text itself.
    """

    values: frozenset[Any]
    unit: str
    kind: str
    said: str
    start: int
    end: int


def amounts(text: str) -> Iterator[Amount]:
    """Yield the numbers of a text, in order."""
    for found in _NUMBER.finditer(text.translate(_PLAIN)):
        if len(found[0]) > MOST_CHARS:
            continue
        values, kind = _values(found)
        if not values:
            continue
        unit = next((name for name in _MARKS if found[f"before_{name}"] or found[f"after_{name}"]), "")
        yield Amount(frozenset(values), unit, kind, text[slice(*found.span())].strip(), found.start(), found.end())


def _values(found: re.Match[str]) -> tuple[set[Any], str]:
    """Return the readings of a number and its kind."""
    if found["literal"]:
        return {found["literal"]}, "literal"
    if found["words"]:
        said, _, _ = found["words"].partition(found["and_half"] or "\n")
        value = Fraction(_in_words(said)) + (Fraction(1, 2) if found["and_half"] else 0)
        return _scaled({value}, found["scale"]), "words"
    if found["ordinal"]:
        tens, _, last = found["ordinal"].lower().rpartition("-")
        return {Fraction(VALUES.get(tens, 0) + ORDINALS.index(last) + 1)}, "ordinal"
    if found["part"]:
        return _part(found["part"].lower(), (found["many"] or "").lower()), "words"
    if found["vulgar"]:
        return _scaled({_vulgar(found["vulgar"])}, found["scale"]), "digits"
    if found["top"]:
        return ({Fraction(int(found["top"]), int(found["bottom"]))} if int(found["bottom"]) else set()), "digits"
    values = _readings(found["digits"])
    if found["odd"]:
        values = {value + _vulgar(found["odd"]) for value in values}
    if found["over"] and int(found["under"]):
        values = {value + Fraction(int(found["over"]), int(found["under"])) for value in values}
    return _scaled(values, found["scale"]), "digits"


def _part(said: str, many: str) -> set[Any]:
    """Return the value of a part, as in "two thirds" and "half"."""
    name = re.split(r"[\s-]", said)[-1]
    return {Fraction(VALUES.get(many, 1), PARTS.get(name) or PARTS[name.removesuffix("s")])}


def _vulgar(sign: str) -> Fraction:
    return Fraction(unicodedata.numeric(sign)).limit_denominator(100)


def _readings(digits: str) -> set[Any]:
    """Return the values that digits with marks between them may have: "1.234" is 1234 or 1.234."""
    plain = re.sub(r"['’ \u00a0\u2009\u202f]", "", digits)
    marks = re.findall(r"[.,]", plain)
    if not marks:
        return {Fraction(int(plain))}
    groups = re.split(r"[.,]", plain)
    grouped = len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
    found = {Fraction(int("".join(groups)))} if grouped and len(set(marks)) == 1 else set()
    if len(marks) == 1 or len(set(marks)) == 2:
        found.add(Fraction(f"{int(''.join(groups[:-1]))}.{groups[-1]}"))
    return found


def _scaled(values: set[Any], scale: str | None) -> set[Any]:
    if not scale:
        return values
    name = scale.lower()
    times = SCALES.get(name) or SCALES.get(name.removesuffix("s")) or SHORT[name]
    # "5 m" may be five metres.
    return {value * times for value in values} | (values if len(name) == 1 else set())


def _in_words(said: str) -> int:
    """Return the value of a number in words, as in "two hundred and fifty-one"."""
    total = current = 0
    for word in re.split(r"[\s-]+", said.lower()):
        if word in VALUES:
            current += VALUES[word]
        elif word in ("hundred", "dozen"):
            current = max(1, current) * SCALES[word]
        elif word in SCALES:
            total, current = total + max(1, current) * SCALES[word], 0
    return total + current


MONTHS = (
    "january february march april may june july august september october november december".split(),
    "jan feb mar apr may jun jul aug sep oct nov dec".split(),
)
DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_MONTH = rf"(?P<month>{'|'.join(MONTHS[0])}|{'|'.join(MONTHS[1])}|sept)\b\.?"
DATES = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:\s+of)?\s+{_MONTH}(?:,?\s+(?P<year>\d{{4}})\b)?",
        rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d)(?:,?\s+(?P<year>\d{{4}})\b)?",
        rf"\b{_MONTH},?\s+(?:of\s+)?(?P<year>\d{{4}})\b",
        r"\b(?P<year>\d{4})(?P<sep>[-/.])(?P<mm>\d{1,2})(?P=sep)(?P<day>\d{1,2})\b",
        r"\b(?P<one>\d{1,2})(?P<sep>[-/.])(?P<two>\d{1,2})(?P=sep)(?P<year>\d{4}|\d{2})\b",
        r"\b(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?\s?(?P<half>[ap])\.?m\b\.?",
        r"\b(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)\b(?!:)",
        rf"\b(?P<weekday>{'|'.join(DAYS)})s?\b",
    )
]
_ALONE = re.compile(rf"\b(?P<month>{'|'.join(month.capitalize() for month in MONTHS[0])})\b")
_BEFORE_MONTH = re.compile(
    r"\b(?:in|of|since|until|till|by|during|from|to|late|early|mid|and|last|next|every|each)[\s-]$"
)


@dataclass(frozen=True)
class Date:
    """A date, time of day or day of the week as it is `said`: the readings of its fields, each (name, value) pairs."""

    readings: tuple[frozenset[tuple[str, int]], ...]
    said: str
    start: int
    end: int


@lru_cache(maxsize=64)
def dates(text: str) -> tuple[Date, ...]:
    """Return the dates, times and days of the week of a text; "May" and "March" alone only behind "in" and the like."""
    found: list[Date] = []
    plain = text.translate(_PLAIN)
    for pattern in DATES:
        for one in pattern.finditer(plain):
            if not any(one.start() < other.end and other.start < one.end() for other in found) and (
                readings := _fields(one.groupdict())
            ):
                found.append(Date(readings, text[slice(*one.span())].strip(), one.start(), one.end()))
    for one in _ALONE.finditer(text):
        sure = one[0] not in ("May", "March") or _BEFORE_MONTH.search(text[: one.start()])
        if sure and not any(other.start <= one.start() < other.end for other in found):
            found.append(Date((frozenset({("month", _month(one[0]))}),), one[0], one.start(), one.end()))
    return tuple(sorted(found, key=lambda date: date.start))


def _fields(given: dict[str, str | None]) -> tuple[frozenset[tuple[str, int]], ...]:
    """Return the readings of a match; none where it is no date."""
    has = {name: value for name, value in given.items() if value is not None}
    if "weekday" in has:
        return (frozenset({("weekday", DAYS.index(has["weekday"].lower()))}),)
    if "hour" in has:
        return _times(int(has["hour"]), int(has.get("minute", 0)), has.get("half", "").lower())
    known = {"year": _year(has["year"])} if "year" in has else {}
    if "one" in has:
        one, two = int(has["one"]), int(has["two"])
        pairs = [(day, month) for day, month in ((one, two), (two, one)) if 1 <= month <= 12 and 1 <= day <= 31]
        return tuple(frozenset({**known, "day": day, "month": month}.items()) for day, month in pairs)
    known |= {"month": int(has["mm"])} if "mm" in has else {"month": _month(has["month"])}
    known |= {"day": int(has["day"])} if "day" in has else {}
    return (frozenset(known.items()),) if known.get("day", 1) <= 31 and known["month"] <= 12 else ()


def _times(hour: int, minute: int, half: str) -> tuple[frozenset[tuple[str, int]], ...]:
    """Return the minutes of the day; without a.m. or p.m., an hour up to 12 may be either."""
    hours = [hour, hour + 12] if 1 <= hour < 12 else [hour]
    if half:
        hours = [hour % 12 + (12 if half == "p" else 0)]
    return tuple(frozenset({("minute", 60 * one + minute)}) for one in hours)


def _month(said: str) -> int:
    return MONTHS[1].index(said.lower()[:3]) + 1


def _year(digits: str) -> int:
    year = int(digits)
    return year if len(digits) == 4 else year + (1900 if year > 50 else 2000)
