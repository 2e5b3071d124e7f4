"""Names in a rewrite that its source does not have, by their capitals."""

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from askback.recipe import Grounding
from askback.rewrite.amounts import amounts, dates
from askback.rewrite.reading import STOP, URL, Text, missing, plain, stem
from askback.text.endings import MARK
from askback.text.prose import without_code
from askback.text.verbs import verbs
from askback.text.words import fold, words

NO_NAMES_BY_CASE = ("de", "lb")
"""Languages that capitalise every noun."""
_CAPITAL = re.compile(r"(?<![\w@])[^\W\d_a-zß-öø-ÿ][\w.&]*(?:[’'-]\w+)*")
_OPENS = re.compile(r"(?:^|[.!?:;…—–|/]|(?:^|\s)[-*•+])[\s\"“”„«‘’'(\[*_#>]*$")
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\*\*[^*]+\*\*:?\s*$)")


def names(rewrite: Text, source: Text, options: Grounding) -> str:
    """Find a capitalised word that the source does not have: within a sentence any, at its beginning an uncommon one.

    Of names of two words, both have to stand near each other in the source too.
    """
    if rewrite.language in NO_NAMES_BY_CASE:
        return ""
    english = rewrite.language in ("", "en")
    found = list(_capitals(without_code(rewrite.text)))
    lone = (word for word, sure in found if (sure or (english and not _common(word))) and not _has_name(source, word))
    return missing(lone) or missing(_mixed(rewrite, source))


def _capitals(text: str) -> Iterator[tuple[str, bool]]:
    """Yield capitalised words, and whether they stand where a common word would not be capitalised."""
    skipped = [(date.start, date.end) for date in dates(text)]
    skipped += [(amount.start, amount.end) for amount in amounts(text)]
    skipped += [found.span() for found in URL.finditer(text)]
    at = 0
    for line in text.splitlines(keepends=True):
        title = _title_end(line)
        for found in _CAPITAL.finditer(line):
            place = at + found.start()
            if re.fullmatch(r"I(?:[’']\w+)?", found[0]) or any(start <= place < end for start, end in skipped):
                continue
            yield found[0].rstrip("."), found.start() >= title and not _OPENS.search(line[: found.start()])
        at += len(line)


def _title_end(line: str) -> int:
    """Return where a title ends in a line, most of whose words are capitalised: the line itself, or what a colon ends; 0
    where there is none."""
    if _HEADING.match(line):
        return len(line)
    mark = MARK.match(line)
    start = mark.end() if mark else 0
    head = re.split(r":\s", line[start:])[0]
    parts = [part for part in head.strip(" *_\n").split() if len(part) > 3]
    ended = head.strip(" *_\n").endswith((".", "!", "?"))
    return start + len(head) if len(parts) > 1 and not ended and all(part[0].isupper() for part in parts) else 0


_SUFFIX = re.compile(
    r"(?:ures?|wards?|[ai]tions?|ions?|ments?|ness(?:es)?|als?|ally|ables?|ful|less|it(?:y|ies)|[ae]nces?|ives?|ous|ships?"
    r"|wise|ers?)$"
)


def _common(word: str) -> bool:
    """Return whether a word at the beginning of a sentence is no name: a common English word, or a form of one."""
    lower = fold(word)
    parts = re.split(r"[’'-]", lower)
    root = _SUFFIX.sub("", parts[0])
    return (
        lower.endswith(("ly", "ing"))
        or not common().isdisjoint({parts[0], stem(parts[0]), root, f"{root}e"})
        or any({parts[0][:at], stem(parts[0][at:])} <= common() for at in range(4, len(parts[0]) - 3))
    )


@lru_cache(maxsize=1)
def common() -> frozenset[str]:
    """Return common English words, as people write them in lower case in OpenAssistant's conversations, and verbs."""
    listed = (Path(__file__).parent / "common_words.txt").read_text("utf-8").split()
    roots = (root for word in listed if len(root := _SUFFIX.sub("", word)) > 5)
    return frozenset(listed) | frozenset(map(stem, listed)) | frozenset(roots) | verbs()[0]


_DERIVED = re.compile(r"(?:ians?|eans?|ans?|ish|ese|ic|e|a|y|ies)$")


def _has_name(source: Text, name: str) -> bool:
    """Return whether the source has a name: its words, its first letters, what these stand for, or what it derives from."""
    bare = plain(name).replace(".", "").lower()
    if bare in ("celsius", "fahrenheit") and f"°{bare[0].upper()}" in source.text:
        return True
    if bare in source.acronyms or bare in source.known or "".join(words(bare)) in source.squeezed.lower():
        return True
    parts = [part for part in words(plain(name)) if len(part) > 1]
    roots = {_DERIVED.sub("", word) for word in source.words if len(word) > 4}
    return all(
        part in source.known
        or stem(part) in source.known
        or (len(root := _DERIVED.sub("", part)) > 3 and root in roots)
        for part in parts
    )


_TWO_WORDS = re.compile(r"(?=\b([^\W\d_]+)\s([^\W\d_]+)\b)")
NEAR = 3
"""Largest number of words between which two words of a name stand in the source."""


def _mixed(rewrite: Text, source: Text) -> Iterator[str]:
    """Yield names of two words that both are in the source, capitalised, and nowhere near each other."""
    places: dict[str, list[int]] = {}
    for at, word in enumerate(source.words):
        places.setdefault(word, []).append(at)
    capitals = {word for word, _ in _capitals(source.text)}
    for found in _TWO_WORDS.finditer(without_code(rewrite.text)):
        first, last = found.groups()
        if first.lower() not in STOP and first in capitals and last in capitals:
            near = (
                abs(a - b) <= NEAR
                for a in places.get(plain(first).lower(), ())
                for b in places.get(plain(last).lower(), ())
            )
            if not any(near):
                yield f"{first} {last}"
