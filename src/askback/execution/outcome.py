"""The outcome of a piece of work for each of its records: nothing vanishes, in = kept + rejected + failed."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from askback.records import Rejection, draw


@dataclass(slots=True)
class Counts:
    """The numbers of records that entered a stage, and were kept, rejected and failed there."""

    entered: int = 0
    kept: int = 0
    rejected: int = 0
    failed: int = 0

    def add(self, other: "Counts") -> None:
        """Add another part's counts to these."""
        for name in ("entered", "kept", "rejected", "failed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def balanced(self) -> bool:
        """Return whether entered = kept + rejected + failed."""
        return self.entered == self.kept + self.rejected + self.failed


SAMPLED = 1000
"""Largest number of dropped records of each rule that are written per piece of work; the counts include all."""


def drawn(places: Sequence[int], id_of: Callable[[int], str], most: int = SAMPLED) -> Sequence[int]:
    """Return at most `most` of the places of records, drawn by the records' ids, so always the same."""
    if len(places) <= most:
        return places
    return heapq.nsmallest(most, places, key=lambda place: (draw(0, id_of(place)), place))


def sampled(dropped: list[Rejection], most: int = SAMPLED) -> list[Rejection]:
    """Return at most `most` rejections of each stage and rule, in their order (`drawn`)."""
    by_rule: dict[tuple[str, str], list[int]] = {}
    for place, rejection in enumerate(dropped):
        by_rule.setdefault((rejection.stage, rejection.rule), []).append(place)
    chosen = [place for found in by_rule.values() for place in drawn(found, lambda place: dropped[place].id, most)]
    return [dropped[place] for place in sorted(chosen)]


R = TypeVar("R")


@dataclass(slots=True)
class Outcome(Generic[R]):
    """The result of a piece of work: the records kept and dropped, and the counts of each stage, in order.

    Stages that pass records on inside the piece (documents → segments) are counted too. A large piece holds a sample of the
    dropped records of each rule (`SAMPLED`), so that memory and disk do not grow with them; `reasons` counts all, by
    "stage/rule". `tallies` count other things than records, such as redactions.
    """

    kept: list[R] = field(default_factory=list)
    dropped: list[Rejection] = field(default_factory=list)
    counts: dict[str, Counts] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    tallies: dict[str, int] = field(default_factory=dict)
    table: Any = None
    """In place of `kept`, of a step that copies columns of records on disk: a table of pyarrow. It is written as it is, as
    values of variables are hidden in it already."""

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
        """Remove the records kept at `stage`, the last one, from the outcome and its counts, and return them.

        For a step that decides again about records that another function kept.
        """
        taken, self.kept = self.kept, []
        counts = self.counts.setdefault(stage, Counts())
        counts.entered -= len(taken)
        counts.kept -= len(taken)
        return taken

    def add(self, other: "Outcome[R]") -> None:
        """Append another outcome: the same as if both had been one from the beginning."""
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
        """Add a dropped record, and count it under its stage and rule."""
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
