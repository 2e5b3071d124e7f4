"""Sample records in the report of a run: chosen, moved between rounds, or dropped, with the reason."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askback.execution.shards import Records, rejections
from askback.methods import names
from askback.records import Candidate, Example, Rejection, draw
from askback.studies.run_folder import chosen, data_round, data_step

SAMPLES = 150
"""Largest number of pairs of each set in a report, drawn by their ids: it has to open on a phone."""
PER_RULE = 12
"""Largest number of rejections of each rule in a report."""
TEXT = 2000
"""Largest number of characters of a sample."""

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class Sample:
    """A pair, or a dropped record. `kind` is "chosen", "moved" or "rejected", `why` the rule or direction of the move."""

    kind: str
    where: str
    why: str
    detail: str
    instruction: str
    text: str
    score: float | None
    uri: str
    licence: str
    original: str = ""
    """The text as it was, where it was rewritten."""


def samples(
    folder: Path, steps: Sequence[str], picks: Mapping[int, set[str]], scores: Mapping[int, Scores]
) -> list[Sample]:
    """Return the samples of a run.

    Args:
        picks: round → ids of the pairs chosen in it.
        scores: round → candidate id → the score that the selection used.
    """
    return [*_chosen(folder), *_moved(folder, picks, scores), *_rejected(folder, steps)]


def _chosen(folder: Path) -> Iterator[Sample]:
    if data_step(folder):
        t = data_round(folder)
        for pair in _some(chosen(folder), SAMPLES):
            yield _pair("chosen", f"round {t}", "", "", pair)


def _moved(folder: Path, picks: Mapping[int, set[str]], scores: Mapping[int, Scores]) -> Iterator[Sample]:
    """Yield pairs that were chosen in only one of two consecutive rounds."""
    for earlier, later in itertools.pairwise(sorted(picks)):
        for step, other, way in ((later, earlier, "came"), (earlier, later, "left")):
            pairs = (pair for pair in Records[Example](folder / names.choice(step), "") if pair.id not in picks[other])
            for pair in _some(pairs, SAMPLES // 3):
                ends = [scores.get(t, {}).get(pair.id) for t in (earlier, later)]
                ends_in_words = " → ".join("unscored" if score is None else f"{score:.2f}" for score in ends)
                yield _pair("moved", f"round {later}", f"{way} in round {later}", ends_in_words, pair)


def _rejected(folder: Path, steps: Sequence[str]) -> Iterator[Sample]:
    """Yield the first records that each rule dropped; those of a selection, and rewrites, are shown as whole pairs."""
    found: list[tuple[str, Rejection]] = []
    for name in steps:
        seen: dict[str, int] = defaultdict(int)
        for drop in rejections(folder / name):
            seen[drop.rule] += 1
            if seen[drop.rule] <= PER_RULE:
                found.append((name, drop))
    chosen_from = {names.choice(t) for t in names.rounds(names.choice, steps)}
    wanted = {drop.id for name, drop in found if name in chosen_from}
    pairs: dict[str, Candidate] = {pair.id: pair for pair in _records(folder, names.CANDIDATES, wanted)}
    of_rewrites = (names.FILTERED, names.GROUNDED, names.PREFERRED)
    rewritten = {drop.id for name, drop in found if name in of_rewrites}
    rewrites = {pair.id: pair for pair in _records(folder, names.REWRITTEN, rewritten)}
    for name, drop in found:
        pair = rewrites.get(drop.id) if name in of_rewrites else pairs.get(drop.id)
        instruction, text = (pair.instruction, pair.output) if pair else ("", drop.text)
        short, licence = (instruction[:TEXT], text[:TEXT]), pair.provenance.licence if pair else ""
        original = pair.original[:TEXT] if isinstance(pair, Example) else ""
        yield Sample("rejected", name, drop.rule, drop.detail, *short, None, drop.uri, licence, original)


def _records(folder: Path, step: str, wanted: set[str]) -> Iterator[Any]:
    """Yield the records of a step that are wanted."""
    yield from (one for one in Records[Any](folder / step, "") if one.id in wanted) if wanted else ()


def _pair(kind: str, where: str, why: str, detail: str, pair: Example) -> Sample:
    short = (pair.instruction[:TEXT], pair.output[:TEXT])
    about = pair.provenance
    return Sample(kind, where, why, detail, *short, pair.score, about.uri, about.licence, pair.original[:TEXT])


def _some(pairs: Iterable[Example], count: int) -> list[Example]:
    return heapq.nsmallest(count, pairs, key=lambda pair: draw(0, pair.id))
