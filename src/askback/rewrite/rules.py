"""Grounded or dropped: rules by which a rewrite says no more than its source (ours; method.md 2.4 leaves factuality open).

Each is a function of the rewrite, its source and the options, and returns what it finds, "" for nothing. What is named,
counted, dated, quoted, linked or coded in the rewrite has to be in the source in some form: 1,000 as 1000, ½ as half,
accents, plurals and case aside. Claims are not understood: `coverage` and `sentence` find what has words of its own,
`negation` a sentence that comes back almost word for word. Words and months are English; where nouns are capitalised
(German), names are left to `coverage`.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from keyword import kwlist

from askback.recipe import Grounding
from askback.rewrite.amounts import Amount, amounts, dates
from askback.rewrite.names import names
from askback.rewrite.reading import (
    URL,
    Text,
    addresses,
    content,
    counted,
    list_sizes,
    missing,
    plain,
    sentences,
    spelled,
    stem,
)
from askback.text.endings import breaks_off
from askback.text.prose import without_code
from askback.text.words import fold, in_a_row, word_set, words

LONG_SENTENCE = 6
"""Smallest number of content words of a sentence that `sentence` looks at."""
_REFUSAL = re.compile(
    r"(?:i['’]?m|i am) (?:sorry|afraid|unable|not able)|sorry\b|i (?:can(?:no|['’])t|won['’]t|do not have|don['’]t have)\b"
    r"|as an ai\b|(?:unfortunately|regrettably),? (?:i|the (?:draft|text|document))\b"
    r"|.{0,80}\b(?:the|this|your|provided|given) (?:draft|original (?:text|answer))\b"
    r"|(?:here is|here['’]s|this is) (?:the|a|an|your) (?:rewritten|revised|improved)",
    re.IGNORECASE,
)


def refusal(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a beginning that declines, or that speaks of the draft."""
    found = _REFUSAL.match(rewrite.text.lstrip())
    return f"begins {found[0]!r}" if found and fold(found[0]) not in fold(source.text) else ""


def cut_off(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find an end that breaks off, or a block of code that is not closed."""
    if sum(line.lstrip().startswith("```") for line in rewrite.text.splitlines()) % 2:
        return "a block of code is not closed"
    end = breaks_off(rewrite.text)
    return f"ends {end!r}" if end is not None and not URL.fullmatch(rewrite.text.split()[-1]) else ""


def urls(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a URL or e-mail address that the source does not have."""
    known = set(addresses(source.text)) | {word.strip(".,;:!?()<>[]\"'") for word in source.text.lower().split()}
    above = {one[:at] for one in known for at, letter in enumerate(one) if letter in "/?#"}
    return missing(one for one in addresses(rewrite.text) if one not in known | above)


_CODE = re.compile(
    r"```[^\n`]{0,100}\n(?P<block>.*?)(?:```|\Z)|`(?P<span>[^`\n]+)`"
    r"|(?<![\w/.@-])(?P<bare>[A-Za-z]\w*_\w+|[a-z]+(?:[A-Z][a-z0-9]+)+|[A-Za-z_]\w*(?:\.\w+)*\(\)|--[a-z][\w-]+|(?:/[\w.-]+){2,})",
    re.DOTALL,
)
_IDENTIFIER = re.compile(r"[^\W\d]\w*")
KEYWORDS = frozenset([*kwlist, "const", "export", "function", "let", "new", "print", "require", "var"])
"""Of Python and JavaScript: what a line is put together with says nothing by itself."""


def code(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find code, as a block, between backticks or by its form, whose identifiers the source does not all have."""
    known = KEYWORDS | set(_IDENTIFIER.findall(source.text))
    found = [one[one.lastgroup or 0] for one in _CODE.finditer(rewrite.text)]
    parts = (part for text in found if "".join(text.split()) not in source.squeezed for part in text.split("\n"))
    return missing(part.strip() for part in parts if not known.issuperset(_IDENTIFIER.findall(part)))


_QUOTATION = re.compile(
    r"“([^“”\n]+)”|„([^„“”\n]+)[“”]|«([^«»\n]+)»|»([^«»\n]+)«|(?<![\w\"])\"([^\"\n]+)\"|‘([^‘\n]+?)’(?!\w)"
    r"|(?<!\w)'(\S(?:[^'\n]|(?<=\w)'(?=\w))*)'(?!\w)|^> ?(.+)$",
    re.MULTILINE,
)


def quotations(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a quotation that is not in the source word for word; what an ellipsis or brackets leave out, and American or
    British spelling, aside."""
    joined = f" {' '.join(map(spelled, source.words))} "
    return missing(
        part.strip()
        for found in _QUOTATION.finditer(without_code(rewrite.text))
        for part in re.split(r"\.\.\.|…|\[[^\[\]]*\]", found[found.lastindex or 0])
        if (said := words(plain(part))) and f" {' '.join(map(spelled, said))} " not in joined
    )


def dated(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a date, time or day of the week of which the source says other, or less."""
    known = [reading for date in dates(source.text) for reading in date.readings]
    if "weekdays" in source.known and {"monday", "friday"} <= rewrite.known:
        known += [frozenset({("weekday", day)}) for day in range(5)]
    # "at nine" is a number.
    known += [frozenset({("minute", 60 * hour)}) for hour in range(24) if {hour, hour - 12} & source.values]
    return missing(
        date.said for date in dates(rewrite.text) if not any(_known(one, known, source) for one in date.readings)
    )


def _known(date: frozenset[tuple[str, int]], known: list[frozenset[tuple[str, int]]], source: Text) -> bool:
    """Return whether one date of the source has all fields of this one, or all but the year, which is elsewhere in it."""
    year = next((value for name, value in date if name == "year"), None)
    less = frozenset(field for field in date if field[0] != "year")
    return any(date <= one for one in known) or (
        year in source.values and any(less <= one and all(name != "year" for name, _ in one) for one in known)
    )


def numbers(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a number that the source does not have, or not of the same unit where that is per cent or a currency.

    Numbers of dates go by `dates`, marks of lists are none; 1, "two" and the ordinals that order a text ("second,") pass,
    and so does a number in words that is the size of a list in the rewrite. What is counted in the source too, as in "2
    teaspoons" and "written exam: 40 %", has to have one of its numbers there.
    """
    text = re.sub(
        r"(?m)^[ \t#>*_-]*(?:(?:step|part|tip)\s+)?\d{1,2}(?:[.):](?!\d)|(?=[^\S\n]*\n))",
        "",
        rewrite.text,
        flags=re.I,
    )
    gone = [(date.start, date.end) for date in dates(text)] + [found.span() for found in URL.finditer(text)]
    own = {*list_sizes(rewrite.text), 2}
    return missing(
        one.said
        for one in amounts(text)
        if not any(start <= one.start < end for start, end in gone)
        and (one.unit or 1 not in one.values)
        and not (one.kind != "digits" and one.values & own and not one.unit)
        and not (one.kind == "ordinal" and _orders(text, one))
        and not _in_source(one, source, counted(text, one))
    )


def _orders(text: str, one: Amount) -> bool:
    """Return whether an ordinal orders the text itself, as in "Second, …", or is "first" or "second"."""
    return max(one.values) <= 2 or text[one.start + len(one.said) :].startswith(",")


MINUTES = {Fraction(1, 4): 15, Fraction(1, 2): 30, Fraction(3, 4): 45}
"""In parts of an hour, and seconds in those of a minute."""


def _in_source(one: Amount, source: Text, what: str = "") -> bool:
    """Return whether the source has an amount; a unit may also stand elsewhere, as over a table."""
    if one.kind == "literal":
        return one.said in source.text
    if (there := source.counts.get(what)) and not one.values & there:
        return False
    if one.kind == "words" and any(MINUTES.get(value) in source.values for value in one.values):
        return True
    same = [other for other in source.amounts if other.values & one.values]
    if not one.unit:
        hundredth = {value * 100 for value in one.values}
        return bool(one.values & source.values) or any(
            o.unit == "percent" and o.values & hundredth for o in source.amounts
        )
    if one.unit == "percent" and {value / 100 for value in one.values} & source.values:
        return True
    elsewhere = any(other.unit == one.unit for other in source.amounts)
    return any(other.unit == one.unit or (not other.unit and elsewhere) for other in same)


def coverage(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find too small a share of content words that the source has too."""
    share, lacking = covered(rewrite.text, source)
    if share >= options.min_coverage:
        return ""
    return f"{share:.2f} of the content words are in the source, at least {options.min_coverage} wanted: {lacking}"


_NOT = re.compile(r"\b(?:not|no|never|none|nobody|nothing|neither|nor|cannot|without|hardly)\b|n[’']t\b", re.IGNORECASE)
ALIKE = 0.85
"""Smallest share of content words that two sentences have in common where a "not" in one alone is a fault."""


def negation(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a sentence of the source that comes back with a "not" that it had not, or without one that it had."""
    known = [(set(map(stem, content(one))), bool(_NOT.search(one))) for one in sentences(source.text)]
    for one in sentences(rewrite.text):
        own = set(map(stem, content(one)))
        alike = [denied for other, denied in known if own and len(own & other) >= ALIKE * len(own | other)]
        if alike and bool(_NOT.search(one)) not in alike:
            return f"says the contrary of its source: {one.strip()[:120]!r}"
    return ""


def sentence(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a long sentence of which the source has hardly a content word."""
    for one in sentences(rewrite.text):
        if len(content(one)) >= LONG_SENTENCE and covered(one, source)[0] < options.min_sentence:
            return f"nothing of it is in the source: {one.strip()[:120]!r}"
    return ""


def covered(text: str, source: Text) -> tuple[float, str]:
    """Return the share of a text's content words that the source has, 1 of none, and some that it has not."""
    found = content(text)
    known = source.known | word_set(source.text)
    lacking = [word for word in found if word not in known and stem(word) not in known]
    return 1 - len(lacking) / max(1, len(found)), ", ".join(dict.fromkeys(lacking[:8]))


def copied(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find too small or too large a share of words in runs that are in the source too."""
    size = in_a_row(rewrite.words, options.copied_words)
    known, marked = source.grams(size), [False] * len(rewrite.words)
    for at in range(len(rewrite.words) - size + 1):
        if tuple(rewrite.words[at : at + size]) in known:
            marked[at : at + size] = [True] * size
    share = sum(marked) / max(1, len(marked))
    if options.min_copied <= share <= options.max_copied:
        return ""
    return f"{share:.2f} of the words are copied, from {options.min_copied} to {options.max_copied} wanted"


RULES: dict[str, Callable[[Text, Text, Grounding], str]] = {
    "refusal": refusal,
    "cut-off": cut_off,
    "urls": urls,
    "code": code,
    "quotations": quotations,
    "dates": dated,
    "numbers": numbers,
    "names": names,
    "coverage": coverage,
    "copied": copied,
    "negation": negation,
    "sentence": sentence,
}
"""In the order in which they are asked; the first that finds something is that which a rejection names."""


def fault(rewrite: str, source: str, options: Grounding, language: str = "") -> tuple[str, str] | None:
    """Return (rule, detail) of the first rule that a rewrite breaks, else None."""
    if "all" in options.skip_rules:
        return None
    made, known = Text(rewrite, language), Text(source, language)
    for name, rule in RULES.items():
        if name not in options.skip_rules and (detail := rule(made, known, options)):
            return name, detail
    return None
