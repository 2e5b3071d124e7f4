"""The spread of scores, and the probability of the highest level. Pure.

An expected level differs from a sampled digit: with probabilities 0.02, 0.05, 0.13, 0.30, 0.50 of the digits 1 to 5, half
of the sampled digits are a 5, and the expected level is 4.21.
"""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from askback.records import Judgement


@dataclass(frozen=True)
class Spread:
    """The spread of one scorer's scores: their number, mean, first decile `low`, median, last decile `high` and highest.

    `unscored` counts pairs without a score. For a scorer with levels, `sampled` is the mean probability of the highest
    level, and `likely` the share of pairs for which that is at least `LIKELY`; else None.
    """

    scorer: str
    scored: int
    unscored: int
    mean: float
    low: float
    median: float
    high: float
    highest: float
    sampled: float | None = None
    likely: float | None = None


LIKELY = 0.5


class Scores:
    """The scores of one scorer, collected one by one."""

    def __init__(self, scorer: str) -> None:
        self.scorer = scorer
        self.scores: list[float | None] = []
        self.top: list[float] = []

    def add(self, judgement: Judgement) -> None:
        """Add the score of a judgement."""
        self.scores.append(judgement.score)
        if judgement.distribution:
            self.top.append(judgement.distribution[-1])

    def spread(self) -> Spread:
        """Return the spread of the scores so far."""
        own = sorted(score for score in self.scores if score is not None)
        low, median, high, highest = (own[round(at * (len(own) - 1))] if own else 0.0 for at in (0.1, 0.5, 0.9, 1.0))
        counts = (len(own), len(self.scores) - len(own), statistics.fmean(own or [0.0]))
        sampled = statistics.fmean(self.top) if self.top else None
        likely = sum(share >= LIKELY for share in self.top) / len(self.top) if self.top else None
        return Spread(self.scorer, *counts, low, median, high, highest, sampled, likely)


def spreads(judgements: Iterable[Judgement]) -> list[Spread]:
    """Return the spread of each scorer's scores, in the order the scorers first appear."""
    found: dict[str, Scores] = {}
    for judgement in judgements:
        found.setdefault(judgement.scorer, Scores(judgement.scorer)).add(judgement)
    return [scores.spread() for scores in found.values()]


def by_highest_level(judgements: Iterable[Judgement]) -> Iterator[Judgement]:
    """Yield judgements with the probability of the highest level as their score, None where there is none."""
    for judgement in judgements:
        yield replace(judgement, score=judgement.distribution[-1] if judgement.distribution else None)


def described(spread: Spread) -> str:
    """Return a spread in words."""
    text = (
        f"{spread.scorer}: a tenth below {spread.low:.2f}, half below {spread.median:.2f}, a tenth above {spread.high:.2f}"
        f", the highest {spread.highest:.2f}"
    )
    if spread.sampled is None or spread.likely is None:
        return text
    return f"{text}; {spread.sampled:.1%} on the highest level if its digit were sampled, {spread.likely:.1%} likely so"
