"""Texts that nearly match a regular expression, made from the expression itself: what it repeats, again and again."""

import re
from collections.abc import Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_REPEATS = {op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT}
_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d",
    op.CATEGORY_NOT_DIGIT: r"\D",
    op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S",
    op.CATEGORY_WORD: r"\w",
    op.CATEGORY_NOT_WORD: r"\W",
}
_COMMON = "aZ0 \n-._\r\t<é"
_ENDS = ("", "\n\x01")
_MOST = 80
"""Most parts that are taken of an expression, spread over all."""


def near_misses(pattern: "re.Pattern[str]") -> Iterator[tuple[str, str, str]]:
    """Yield (before, repeated, after): to be put together with the middle as often as a text of some length needs."""
    tree = _parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG)
    pool = list(dict.fromkeys([*_literals(tree), *_COMMON]))
    pumps = [pump for pump in dict.fromkeys(_pumps(tree, "", pool)) if pump[1]]
    for before, repeated in pumps[:: -(-len(pumps) // _MOST)]:
        yield from ((before, repeated, after) for after in _ENDS)


def _pumps(items: Any, before: str, pool: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what stands before a part, and the part, for every part that repeats and every beginning of a sequence."""
    items = list(items)
    for at, (kind, value) in enumerate(items):
        start = before + _sample(items[:at], pool, 0)
        if kind in _REPEATS:
            yield from ((start, text) for text in _samples(value[2], pool))
            # Two parts side by side that take the same characters.
            yield from ((start, text) for text in _samples(items[at : at + 2], pool))
        for inner in _inside(kind, value):
            yield from _pumps(inner, start, pool)
        yield "", start + _sample([items[at]], pool, 0)
        yield "", _sample(items[at:], pool, 0)


def _inside(kind: Any, value: Any) -> list[Any]:
    if kind in _REPEATS:
        return [value[2]]
    if kind is op.SUBPATTERN:
        return [value[3]]
    if kind is op.BRANCH:
        return list(value[1])
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return [value[1]]
    return [value] if kind is op.ATOMIC_GROUP else []


def _samples(items: Any, pool: list[str]) -> list[str]:
    """Return some different texts that match: of each set another character, of each choice another branch."""
    return list(dict.fromkeys(_sample(items, pool, turn) for turn in range(min(len(pool), 8))))


def _sample(items: Any, pool: list[str], turn: int) -> str:
    """Return a text that matches, as far as look-around lets it; `turn` chooses among what is possible."""
    return "".join(_text(kind, value, pool, turn) for kind, value in items)


def _text(kind: Any, value: Any, pool: list[str], turn: int) -> str:
    if kind is op.LITERAL:
        return chr(value)
    if kind in (op.ANY, op.NOT_LITERAL, op.IN):
        fitting = [one for one in pool if _fits(one, kind, value)] or [_first_of(value)]
        return str(fitting[turn % len(fitting)])
    if kind in _REPEATS:
        return _sample(value[2], pool, turn) * max(1, min(int(value[0]), 50))
    if kind is op.BRANCH:
        return _sample(value[1][turn % len(value[1])], pool, turn // len(value[1]))
    if kind is op.SUBPATTERN:
        return _sample(value[3], pool, turn)
    if kind is op.ATOMIC_GROUP:
        return _sample(value, pool, turn)
    if kind is op.ASSERT and value[0] < 0:
        return _sample(value[1], pool, turn)
    return ""


def _first_of(choices: Any) -> str:
    """Return a character of a set that none of the pool is in."""
    for kind, value in choices:
        if kind in (op.LITERAL, op.RANGE):
            return chr(value if kind is op.LITERAL else value[0])
    return "a"


def _fits(one: str, kind: Any, value: Any) -> bool:
    if kind is op.ANY:
        return one != "\n"
    if kind is op.NOT_LITERAL:
        return bool(ord(one) != value)
    negated = value[0][0] is op.NEGATE
    return bool(negated) != any(_is(one, *part) for part in value[negated:])


def _is(one: str, kind: Any, value: Any) -> bool:
    if kind is op.LITERAL:
        return bool(ord(one) == value)
    if kind is op.RANGE:
        return bool(value[0] <= ord(one) <= value[1])
    return re.fullmatch(_CATEGORIES[value], one) is not None


def _literals(items: Any) -> Iterator[str]:
    for kind, value in items:
        if kind is op.LITERAL:
            yield chr(value)
        elif kind is op.IN:
            yield from (
                chr(of if what is op.LITERAL else of[0]) for what, of in value if what in (op.LITERAL, op.RANGE)
            )
        for inner in _inside(kind, value):
            yield from _literals(inner)
