"""What became of the records that a piece of work was given: nothing vanishes, and in = kept + rejected + failed."""

import heapq
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from askback.records import Rejection, draw


@dataclass(slots=True)
class Counts:
    """How many records entered a stage and what became of them; `entered = kept + rejected + failed`, always."""

    entered: int = 0
    kept: int = 0
    rejected: int = 0
    failed: int = 0

    def add(self, other: "Counts") -> None:
        """Add another part's counts to these."""
        for name in ("entered", "kept", "rejected", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def balanced(self) -> bool:
        """Tell whether nothing vanished."""
        return self.entered == self.kept + self.rejected + self.failed


SAMPLED = 1000
"""Dropped records of each rule that are kept of one piece of work, at most; the counts are of all."""


def sampled(dropped: list[Rejection], most: int = SAMPLED) -> list[Rejection]:
    """Return at most `most` rejections of each stage and rule, in their order, drawn by id: the same ones every time."""
    by_rule: dict[tuple[str, str], list[int]] = {}
    for place, rejection in enumerate(dropped):
        by_rule.setdefault((rejection.stage, rejection.rule), []).append(place)
    chosen: list[int] = []
    for places in by_rule.values():
        if len(places) > most:
            places = heapq.nsmallest(most, places, key=lambda place: (draw(0, dropped[place].id), place))
        chosen += places
    return [dropped[place] for place in sorted(chosen)]


R = TypeVar("R")


@dataclass(slots=True)
class Outcome(Generic[R]):
    """What a piece of work made of its records: those kept, those dropped, and the counts of each stage, in order.

    A stage that only passes records on inside the piece (documents → segments) is counted here too. Of the dropped, a
    sample of each rule stays in a large piece (`SAMPLED`), so that memory and disk do not grow with what is thrown away;
    `reasons` counts all of them, by "stage/rule". `tallies` count what is no record, such as what was redacted.
    """

    kept: list[R] = field(default_factory=list)
    dropped: list[Rejection] = field(default_factory=list)
    counts: dict[str, Counts] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, int] = field(default_factory=dict)

    def tally(self, name: str, count: int) -> None:
        """Add to a tally."""
        self.tallies[name] = self.tallies.get(name, 0) + count

    def keep(self, stage: str, record: R) -> None:
        """Keep a record that leaves the step."""
        self.kept.append(record)
        self.passed(stage)

    def passed(self, stage: str) -> None:
        """Count a record that passed an inner stage."""
        counts = self.counts.setdefault(stage, Counts())
        counts.entered += 1
        counts.kept += 1

    def take_back(self, stage: str) -> list[R]:
        """Return the records kept at `stage`, the last one, which are then as if they had not come to it yet.

        For a step that decides once more about what another function kept; all else stays counted as it is.
        """
        taken, self.kept = self.kept, []
        counts = self.counts.setdefault(stage, Counts())
        counts.entered -= len(taken)
        counts.kept -= len(taken)
        return taken

    def add(self, other: "Outcome[R]") -> None:
        """Add what became of the records behind these: the same as if both had been one from the beginning."""
        self.kept += other.kept
        self.dropped += other.dropped
        for stage, counts in other.counts.items():
            self.counts.setdefault(stage, Counts()).add(counts)
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count
        for name, count in other.tallies.items():
            self.tally(name, count)
        self._shorten()

    def drop(self, rejection: Rejection) -> None:
        """Record a dropped record and count it under its stage and rule."""
        reason = f"{rejection.stage}/{rejection.rule}"
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.dropped.append(rejection)
        self._shorten()
        counts = self.counts.setdefault(rejection.stage, Counts())
        counts.entered += 1
        if rejection.outcome == "failed":
            counts.failed += 1
        else:
            counts.rejected += 1

    def _shorten(self) -> None:
        if len(self.dropped) > 2 * SAMPLED * len(self.reasons):
            self.dropped = sampled(self.dropped)
