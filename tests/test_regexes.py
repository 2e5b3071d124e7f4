"""Every regular expression of the package takes time linear in its text, on near-misses made from the expression."""

import ast
import importlib
import pkgutil
import re
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import regex

import askback
from askback.augment.hygiene import DANGLING
from askback.augment.shots import FORMS
from askback.engines.http.key import Scrubber
from askback.methods.names import _IN_WORDS
from askback.prompts.judge_injection import _numbers
from askback.recipe import NAME
from askback.rewrite.amounts import DATES
from tests.near_misses import near_misses

SIZE, REPEATS = 12_000, 500
"""Least characters of a near-miss of the smaller size, and of its repeats; the larger size is four times it."""
MOST = 8
"""Most times the CPU time of the smaller size that the larger one may take."""
SOON_S = 0.006
"""A near-miss of the smaller size that takes less is linear: the square of its length takes seconds."""
LONGEST_S = 0.12
"""Of a near-miss of the smaller size."""
SHARES = 20
"""Tests over which the expressions are spread; to list each would have every process of the tests import the package."""
_CALLS = {"compile", "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn"}

RUN_TIME: dict[str, Callable[[], list[Any]]] = {
    "askback.augment.shots:form": lambda: list(FORMS),
    "askback.cli.making:NAME": lambda: [NAME],
    "askback.corpus.xml:f'<(/?){re.escape(prefix)}:(?=[a-zA-Z])'": lambda: [r"<(/?)h\-t:(?=[a-zA-Z])"],
    "askback.corpus.xml:re.escape(mark)": lambda: ["</script", "</title"],
    "askback.corpus.filters.standalone:f'^\\\\s*{re.escape(number)}[.)] '": lambda: [r"^\s*3[.)] "],
    "askback.corpus.filters.standalone:f'{re.escape(kind)} {re.escape(number)}\\\\b'": lambda: [r"Figure 3\b"],
    "askback.engines.http.blame:f'\\\\b{name}\\\\b|\\\\btop_{name}\\\\b'": lambda: [r"\bseed\b|\btop_seed\b"],
    "askback.engines.http.key:'|'.join(_spellings(key))": lambda: [Scrubber("sk-a/b+c=")._whole],
    "askback.engines.http.key:parts": lambda: [Scrubber("sk-a/b+c=")._part],
    "askback.engines.http.reading:sign": lambda: [
        r"rate.?limit|too.many.requests|quota",
        r"invalid.api.key|unauthori[sz]ed",
    ],
    "askback.augment.hygiene:pattern": lambda: [pattern for _, pattern in DANGLING],
    "askback.augment.hygiene:f'\\\\b{re.escape(noun)}s?\\\\b'": lambda: [re.compile(r"\btexts?\b", re.IGNORECASE)],
    "askback.rewrite.amounts:pattern": lambda: list(DATES),
    "askback.rewrite.post_filters:f'(?<!\\\\w){re.escape(word)}(?!\\\\w)'": lambda: [r"(?<!\w)text(?!\w)"],
    "askback.prompts.encoding:'|'.join(patterns) or '(?!)'": lambda: [
        r"<\|im_start\|>|\[INST\]|(?<!\S)\#\#\#\ Response:"
    ],
    "askback.prompts.judge_injection:alone": lambda: [_as_text(_numbers((4, 5)))],
    "askback.prompts.rendering:'|'.join(marks)": lambda: ["Turn7Qx1z|Turn7Qx3z"],
    "askback.methods.names:pattern": lambda: list(_IN_WORDS.values()),
    "askback.inputs.json_text:f'\\\\n(?:{re.escape(indent)}(?=[{{\\\\[])|[^\\\\S\\\\n]*(?=\\\\]))'": lambda: [
        rf"\n(?:{indent}(?=[{{\[])|[^\S\n]*(?=\]))" for indent in ("", r"\ \ ")
    ],
}
"""Where an expression is made of what only a running function knows, or in a loop: examples of it, by module and code."""


class Use(NamedTuple):
    """An expression, and how it is tried: at the beginning of a text (match, fullmatch) or all over it (finditer)."""

    pattern: "re.Pattern[Any]"
    method: str


@cache
def modules() -> list[ModuleType]:
    names = [found.name for found in pkgutil.walk_packages(askback.__path__, "askback.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


@cache
def calls() -> list[tuple[ModuleType, ast.Call, str]]:
    """Return every call of `re` in the package: where, the call, and which function."""
    found = []
    for module in modules():
        tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
        for node in ast.walk(tree):
            assert not (isinstance(node, ast.ImportFrom) and node.module in ("re", "regex")), (
                f"{module.__name__}: import re, whole"
            )
            called = node.func if isinstance(node, ast.Call) else None
            if (
                isinstance(called, ast.Attribute)
                and called.attr in _CALLS
                and ast.unparse(called.value) in ("re", "regex")
            ):
                assert isinstance(node, ast.Call)
                found.append((module, node, called.attr))
    return found


@cache
def methods() -> dict[str, set[str]]:
    """Return which of `_CALLS` are methods of something of each name anywhere in the package."""
    found: dict[str, set[str]] = {}
    for module in modules():
        for name, method in re.findall(
            rf"\b(\w+)\.({'|'.join(_CALLS)})\b", Path(str(module.__file__)).read_text("utf-8")
        ):
            found.setdefault(name, set()).add(method)
    return found


def compiled() -> Iterator[tuple[str, Use]]:
    """Yield what the modules hold compiled, in tables too."""
    for module in modules():
        for name, value in vars(module).items():
            for number, pattern in enumerate(_patterns(value, 0)):
                used = methods().get(name, set())
                method = "match" if used and used <= {"match", "fullmatch"} else "finditer"
                yield f"{module.__name__}.{name}[{number}]", Use(pattern, method)


def _patterns(value: Any, depth: int) -> Iterator["re.Pattern[Any]"]:
    if isinstance(value, re.Pattern | regex.Pattern):
        yield value
    elif isinstance(getattr(value, "__self__", None), re.Pattern | regex.Pattern):
        yield value.__self__
    elif depth < 4 and isinstance(value, dict):
        for inner in (*value.keys(), *value.values()):
            yield from _patterns(inner, depth + 1)
    elif depth < 4 and isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _patterns(inner, depth + 1)


def inline() -> Iterator[tuple[str, Use | None]]:
    """Yield the expressions that calls of `re` name, None where only the running program knows."""
    for module, call, function in calls():
        code = f"{module.__name__}:{ast.unparse(call.args[0])}"
        flags = call.args[1:] if function == "compile" else [key.value for key in call.keywords if key.arg == "flags"]
        method = function if function in ("match", "fullmatch") else "finditer"
        try:
            pattern, *given = (
                eval(compile(ast.Expression(node), "<pattern>", "eval"), vars(module))
                for node in (call.args[0], *flags)
            )
            module_of = regex if ast.unparse(call.func).startswith("regex.") else re
            yield code, Use(module_of.compile(pattern, *given), method)
        except NameError:
            yield code, None


@cache
def uses() -> dict[str, Use]:
    """Return every expression once, by where it stands."""
    found: dict[tuple[Any, int], str] = {}  # what a module holds comes first, as it tells how it is used
    named = [*compiled(), *((code, use) for code, use in inline() if use)]
    named += [(code, Use(re.compile(one), "finditer")) for code, made in RUN_TIME.items() for one in made()]
    for code, use in named:
        found.setdefault((use.pattern.pattern, use.pattern.flags), code)
    by_code = dict(named)
    return {code: by_code[code] for code in found.values()}


class _Late(Exception):
    pass


def seconds(use: Use, text: Any, most: float) -> float:
    """Return the CPU seconds that one pass over a text takes, at most `most`."""

    running = True

    def late(*_: object) -> None:
        if running:
            raise _Late

    before = signal.signal(signal.SIGVTALRM, late)
    start = time.process_time()
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, most)
        if isinstance(use.pattern, regex.Pattern):
            deque(use.pattern.finditer(text, timeout=most), maxlen=0)  # it knows of no signals
        elif use.method == "finditer":
            deque(use.pattern.finditer(text), maxlen=0)
        else:
            getattr(use.pattern, use.method)(text)
        took = time.process_time() - start
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        return min(took, most)
    except (_Late, TimeoutError):
        return most
    finally:
        running = False  # the timer may be up just now, or be left over by the other time limit
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _text(pattern: "re.Pattern[Any]", parts: tuple[str, str, str], size: int) -> Any:
    before, repeated, after = parts
    text = before + repeated * (size // len(repeated)) + after
    return text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text


def _as_text(pattern: "re.Pattern[Any]") -> "re.Pattern[str]":
    """Return a pattern that is as good to make near-misses from: of text, and without Unicode properties."""
    if isinstance(pattern, regex.Pattern):
        return re.compile(re.sub(r"\\[pP]\{[^{}]*\}", r"\\w", pattern.pattern))
    if isinstance(pattern.pattern, str):
        return pattern
    return re.compile(pattern.pattern.decode("latin-1"), pattern.flags & ~re.UNICODE)


def slowness(use: Use) -> str:
    """Return the near-miss that takes more than its share of time, and how much, or ""."""
    for parts in near_misses(_as_text(use.pattern)):
        size = max(SIZE, REPEATS * len(parts[1]))
        small = _text(use.pattern, parts, size)
        first = seconds(use, small, SOON_S)
        if first < SOON_S:
            continue
        quarter = _text(use.pattern, parts, size // 4)
        if (first := seconds(use, quarter, LONGEST_S)) < LONGEST_S and seconds(use, small, MOST * first) < MOST * first:
            continue  # a first look, with a quarter of the text
        least = min(seconds(use, small, LONGEST_S) for _ in range(3))
        if least < SOON_S:
            continue
        if least >= LONGEST_S:
            return f"{parts!r}: more than {LONGEST_S} s for {size} characters"
        large = _text(use.pattern, parts, 4 * size)
        if all(seconds(use, large, MOST * least) >= MOST * least for _ in range(3)):
            return f"{parts!r}: more than {MOST} times the {least:.3f} s of a quarter of it"
    return ""


def test_every_expression_is_known() -> None:
    unknown = {code for code, use in inline() if use is None} - RUN_TIME.keys()
    assert not unknown, "made at run time: add examples to RUN_TIME"
    assert len(uses()) > 120


@pytest.mark.parametrize("share", range(SHARES))
def test_takes_linear_time(share: int) -> None:
    slow = {code: found for code in sorted(uses())[share::SHARES] if (found := slowness(uses()[code]))}
    assert not slow


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+b", r"\A(?:.*\r?\n){0,200}?---", r"\s+$", r"“[^”]*”", r"<t[^>]*\bd="],
)
def test_slow_expressions_are_found(pattern: str) -> None:
    assert slowness(Use(re.compile(pattern), "finditer"))
