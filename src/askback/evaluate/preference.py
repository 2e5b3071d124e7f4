"""Which of two answers a judge prefers: from its own probabilities of A and B, or else from what it writes."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from askback.engines.protocol import Engine, Sampling, why_none
from askback.prompts import BETTER_START
from askback.prompts.prompt import Prompt

CHOICES = (" A", " B")
REPLY_TOKENS = 64
"""For a judge that embellishes its verdict or says a sentence first; one that does as it is told needs two."""

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
    """`of_first` is the preference for the answer that stood first, in [0, 1], None if there is none; `mass` the judge's
    whole probability of A and B, None where it tells no probabilities; `raw` what it wrote, or why there is no verdict."""

    of_first: float | None
    mass: float | None
    raw: str


def read_verdicts(engine: Engine, questions: Sequence[Prompt]) -> list[Verdict]:
    """Return the judge's verdict on each question (`prompts.pairwise`).

    An engine that tells probabilities gives a share; of one that does not, the likeliest text is read (`parse`), which
    gives 0 or 1, and no verdict where it holds none.
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

    Well-formed is "Better answer", a colon and A or B, in whatever decoration, that no other word follows. A letter is
    never taken from anywhere else: a text without one is unscored.
    """
    letters = [match["letter"].upper() for match in _VERDICT.finditer(text)]
    return letters[-1] if letters else ""


def _read(row: Sequence[float]) -> Verdict:
    if why := why_none(row):
        return Verdict(None, None, why)
    a, b = row
    return Verdict(1 / (1 + math.exp(min(700.0, b - a))), math.exp(a) + math.exp(b), "")
