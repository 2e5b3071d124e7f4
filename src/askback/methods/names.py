"""What the steps of the pages are called, for what looks at a run afterwards; no other file writes a step's name.

In a round's steps, the number of the round stands last. M_0 is trained on the seed alone.
"""

import re
from collections.abc import Callable, Iterable

SEED, SEGMENTS, CORPUS, CANDIDATES, RESULT = "seed", "segment", "dedup", "augment", "result"
CORPUS_STEPS = (SEGMENTS, CORPUS)
"""Those that make the segments."""
BASE = "base"
"""The base model, which no step makes."""

TRAINING = "train"
ROLES = ("augment", "score", "loss")
"""In which steps ask an engine."""

_ROUND = re.compile(r"(?:probe-|check-|score-|select-|m|loss-m|unseen-m)(\d+)")


def model(t: int) -> str:
    """Return the name of M_t."""
    return f"m{t}"


def loss(model: str) -> str:
    """Return the step that measures a model's loss on held-out seed pairs."""
    return f"loss-{model}"


def unseen(model: str) -> str:
    """Return the step that measures a model's loss on pairs of documents that are set aside."""
    return f"unseen-{model}"


def check(t: int) -> str:
    """Return the step that says how well the judge of round `t` tells damaged pairs from sound ones."""
    return f"check-{t}"


def judgements(t: int) -> str:
    """Return the step in which the judge of round `t` judges the candidates."""
    return f"score-{t}"


def choice(t: int) -> str:
    """Return the step that chooses the pairs of round `t`."""
    return f"select-{t}"


def round_of(step: str) -> int:
    """Return the round that a step belongs to, 0 for those before the first."""
    number = _ROUND.fullmatch(step)
    return int(number[1]) if number else 0


def rounds(name: Callable[[int], str], steps: Iterable[str]) -> list[int]:
    """Return the rounds, in order, in which there is a step of a kind (`name`: `model`, `check`, …)."""
    return sorted(t for step in steps if (t := round_of(step)) and step == name(t))


def measured(steps: Iterable[str], on: Callable[[str], str] = loss) -> list[str]:
    """Return the models whose loss is measured, in the order of `steps`: on held-out seed pairs, or by another step."""
    return [model for step in steps if (model := step.rpartition("-")[2]) and step == on(model)]
