"""The verb and its object in an instruction, as in "write a story": Self-Instruct's measure of diversity (4.3)."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

_SENTENCE = re.compile(r"[.?!:;\n]")
_WORD = re.compile(r"[a-z][a-z'’-]*|\d+|[,()\"]")
_POLITE = re.compile(
    r"^(?:(?:hi|hello|hey|ok|okay|so)\b[\s,]*)?"
    r"(?:(?:can|could|would|will) you\b|i(?: would|'d|’d)? (?:want|need|like) you to\b|i(?: would|'d|’d) like to\b)?"
    r"[\s,]*(?:please\b|kindly\b)?[\s,]*(?:help me(?: to)?\b)?[\s,]*"
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


MORE_VERBS = _set(
    "brainstorm classify code compile compose convert correct debug draft elaborate enumerate extract invent "
    "paraphrase predict produce propose provide recommend rephrase respond rewrite simplify solve summarise summarize "
    "tabulate translate"
)
"""Verbs with which people ask an assistant, and with which how-tos seldom open."""
_BEFORE_NOUN = _set(
    "me us him her them a an the this that these those my your our his its their some any all every each no one two three "
    "four five six seven eight nine ten several many few more most both another other following as just only"
)
_AFTER_NOUN = _set(
    "of for to in on at by with about from into between among using through during without within against over under "
    "around like such than after before per via and or but if so because while when where which who whose what why how "
    "whether that is are was were be can could should would will may might must do does did has have had "
    "based given containing including describing explaining listing showing not"
) | {",", "(", ")", '"'}
Pair = tuple[str, str]
RULES = "rules"
"""The value of `Verbs.by` where no parser is installed: the rules of `verb_noun`."""
LONGEST_NOUN = 4
"""Largest number of words of a noun phrase; a longer one is not understood."""


@dataclass(frozen=True)
class Verbs:
    """`coverage` is the share of instructions with a pair of verb and noun; `distinct` counts different pairs. `top` holds
    the most frequent verbs, each with its count and its most frequent nouns. `by` names the parser (parsed_verbs.py), or
    is `RULES`."""

    coverage: float
    distinct: int
    top: list[tuple[str, int, list[tuple[str, int]]]]
    by: str


def verb_noun(instruction: str, verbs: Collection[str]) -> Pair | None:
    """Return the verb that an instruction opens with and the noun that is its object, None where they are not found.

    Departure: Self-Instruct uses two neural parsers, which are not always installed; this uses rules. The first sentence,
    without polite phrases, has to open with one of `verbs`; the object is the last word before a preposition, conjunction,
    auxiliary verb or comma, in the singular. Questions give None, as there.
    """
    text = _SENTENCE.split(instruction.strip().lower(), maxsplit=1)[0]
    words = _WORD.findall(_POLITE.sub("", text, count=1))
    if not words or (words[0] not in verbs and words[0] not in MORE_VERBS):
        return None
    phrase: list[str] = []
    for word in words[1:]:
        if not phrase and (word in _BEFORE_NOUN or word.isdigit()):
            continue
        if word in _AFTER_NOUN or word in _BEFORE_NOUN:
            break
        phrase.append(word)
    if not 1 <= len(phrase) <= LONGEST_NOUN or len(phrase[-1]) < 2:
        return None
    return words[0], _singular(phrase[-1].removesuffix("'s").removesuffix("’s"))


def count_verbs(found: Iterable[Pair | None], by: str = RULES, most: int = 20, nouns: int = 4) -> Verbs:
    """Count the verb-noun pairs of a set (`found`: per instruction, its pair or None); `most` verbs of `nouns` nouns each.

    Args:
        by: as in `Verbs`.
    """
    pairs, total = Counter[Pair](), 0
    for pair in found:
        total += 1
        if pair:
            pairs[pair] += 1
    heads = Counter[str]()
    for (verb, _), count in pairs.items():
        heads[verb] += count
    top = []
    for verb, count in sorted(heads.items(), key=lambda item: (-item[1], item[0]))[:most]:
        own = sorted(((n, noun) for (v, noun), n in pairs.items() if v == verb), key=lambda item: (-item[0], item[1]))
        top.append((verb, count, [(noun, n) for n, noun in own[:nouns]]))
    return Verbs(pairs.total() / total if total else 0.0, len(pairs), top, by)


def _singular(noun: str) -> str:
    if noun.endswith("ies") and len(noun) > 4:
        return f"{noun[:-3]}y"
    if noun.endswith("s") and len(noun) > 3 and not noun.endswith(("ss", "us", "is")):
        return noun[:-1]
    return noun
