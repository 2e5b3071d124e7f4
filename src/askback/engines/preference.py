"""Which of two answers a judge prefers: from its probabilities of A and B, or else parsed from its text."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from askback.engines.protocol import Engine, Sampling, why_none
from askback.prompts import BETTER_START
from askback.prompts.prompt import Prompt

CHOICES = (" A", " B")
REPLY_TOKENS = 64
"""Tokens that a written verdict may take: two for a judge that follows the prompt, more for one that adds a sentence."""

_VERDICT = re.compile(
    rf"""
    {re.escape(BETTER_START.rstrip(":"))} [*_]{{0,3}} \s{{0,3}} [:：]
    [\s*_<\["'`(]{{0,8}} (?:(?:answer|assistant)\s)? (?P<letter>[AB])
    (?=[\s*_>\]"'`)]{{0,8}}(?:[.,;:!\n]|\Z))  # and no word after it: "A good answer would", "A or B"
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`of_first` is the preference for the answer shown first, in [0, 1], None if there is none; `mass` the total
    probability of A and B, None without log-probabilities; `raw` the judge's text, or why there is no verdict."""

    of_first: float | None
    mass: float | None
    raw: str


def read_verdicts(engine: Engine, questions: Sequence[Prompt]) -> list[Verdict]:
    """Return the judge's verdict on each question (`prompts.pairwise`).

    With log-probabilities, the preference is a share; without, the most likely text is parsed (`parse`), which gives 0, 1
    or no verdict.
    """
    if "choose" in engine.calls:
        return [_read(row) for row in engine.choose(questions, CHOICES)]
    written = engine.generate(questions, Sampling(0.0, 1.0, REPLY_TOKENS), [0] * len(questions))
    found = []
    for question, one in zip(questions, written, strict=True):
        text = question.answer_start + one.text
        letter = "" if one.error else parse(text)
        found.append(Verdict({"A": 1.0, "B": 0.0}.get(letter), None, one.error or text))
    return found


def parse(text: str) -> str:
    """Return the letter of the last well-formed verdict in `text`, "" if there is none.

    A well-formed verdict is "Better answer", a colon and A or B, with any decoration, that no other word follows. No other
    letter counts: a text without a verdict is unscored.
    """
    letters = [match["letter"].upper() for match in _VERDICT.finditer(text)]
    return letters[-1] if letters else ""


def _read(row: Sequence[float]) -> Verdict:
    if why := why_none(row):
        return Verdict(None, None, why)
    a, b = row
    return Verdict(1 / (1 + math.exp(min(700.0, b - a))), math.exp(a) + math.exp(b), "")
