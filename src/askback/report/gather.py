"""What the report shows of one run: plain values, read from its folder."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from askback.execution.shards import Records, rejections
from askback.records import Example, Rejection, Separation, draw
from askback.report import read

SAMPLES = 150
"""Pairs of each set in the report at most, drawn by their ids: a report is to open on a phone."""
PER_RULE = 12
"""Rejections of each rule in the report at most."""
TEXT = 2000
"""Characters of a sample shown."""


@dataclass(frozen=True)
class Sample:
    """A pair, or a dropped record, that a reader can look at. `kind` is "chosen", "moved" or "rejected"."""

    kind: str
    where: str
    why: str
    instruction: str
    text: str
    score: float | None
    uri: str
    licence: str


@dataclass(frozen=True)
class View:
    """One run. Scores are by scorer, then by round; `moved` holds (score before, score after, where it was chosen).

    `checks` says by round how well its judge told true pairs from each kind of damage.
    """

    name: str
    recipe: str
    base: str
    steps: list[dict[str, Any]]
    stages: list[read.Stage]
    lengths: list[read.Lengths]
    outputs: dict[str, list[float]]
    losses: dict[str, dict[str, float]]
    scores: dict[str, dict[str, list[float]]]
    moved: list[tuple[float, float, str]]
    checks: dict[str, list[Separation]]
    agreements: dict[str, dict[str, float | None]]
    training: dict[str, list[tuple[float, float]]]
    result: read.Result | None = None
    samples: list[Sample] = field(default_factory=list)


def gather(folder: Path) -> View:
    """Read what a run folder has, however far the run has come.

    Raises:
        InputError: this is no run folder.
    """
    steps = read.finished(folder)
    names = [step["step"] for step in steps]
    recipe = (folder / "recipe.yaml").read_text("utf-8")
    options = yaml.safe_load(recipe).get("recipe", {})
    rounds = [name.removeprefix("select-") for name in names if name.startswith("select-")]
    picks = {t: {pair.id for pair in Records(folder / f"select-{t}", "")} for t in rounds}
    scores, by_candidate = _scores(folder, names)
    return View(
        name=folder.name,
        recipe=recipe,
        base=str(options.get("base", "")),
        steps=steps,
        stages=list(read.funnel(folder)),
        lengths=list(read.lengths(folder)),
        outputs=_output_lengths(folder, names),
        losses=read.losses(folder),
        scores=scores,
        moved=_movement(by_candidate, picks, options.get("select", {}).get("weights", {})),
        checks=read.checks(folder),
        agreements=read.agreements(folder),
        training=_training(folder, names),
        result=read.result(folder),
        samples=[*_chosen(folder, rounds, picks), *_moved_pairs(folder, rounds, picks), *_rejected(folder, names)],
    )


def _scores(
    folder: Path, names: list[str]
) -> tuple[dict[str, dict[str, list[float]]], dict[str, dict[str, dict[str, float]]]]:
    """Return scores by scorer and round, and the same by candidate."""
    by_candidate: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for name in names:
        if name.startswith("score-"):
            for judgement in Records(folder / name, ""):
                if judgement.score is not None:
                    by_candidate[judgement.scorer][name[6:]][judgement.candidate_id] = judgement.score
    scores = {
        scorer: {t: list(found.values()) for t, found in rounds.items()} for scorer, rounds in by_candidate.items()
    }
    return scores, by_candidate


def _movement(
    by_candidate: dict[str, dict[str, dict[str, float]]], picks: dict[str, set[str]], weights: dict[str, float]
) -> list[tuple[float, float, str]]:
    """Return how the scores of the first scorer that counts moved between the last two rounds."""
    counting = [scorer for scorer in by_candidate if weights.get(scorer, 0.0 if weights else 1.0) > 0]
    if len(picks) < 2 or not counting:
        return []
    earlier, later = sorted(picks, key=int)[-2:]
    rounds = by_candidate[counting[0]]
    before, after = rounds.get(earlier, {}), rounds.get(later, {})
    where = {
        (True, True): "chosen twice",
        (True, False): "left",
        (False, True): "came",
        (False, False): "not chosen",
    }
    shared = sorted(before.keys() & after.keys(), key=lambda id: draw(0, id))[: 10 * SAMPLES]
    return [(before[id], after[id], where[id in picks[earlier], id in picks[later]]) for id in shared]


def _output_lengths(folder: Path, names: list[str]) -> dict[str, list[float]]:
    """Return the output lengths of seed, candidates and the last chosen pairs, in characters."""
    last = max((name for name in names if name.startswith("select-")), key=lambda name: int(name[7:]), default="")
    sets = {"seed": "seed", "candidates": "augment", "chosen": last}
    return {
        title: [float(len(one.output)) for one in Records(folder / step, "")]
        for title, step in sets.items()
        if step in names
    }


def _training(folder: Path, names: list[str]) -> dict[str, list[tuple[float, float]]]:
    """Return the training loss by optimiser step of every training."""
    found = {}
    for name in names:
        lines = list(read.training(folder, name))
        if lines:
            found[name] = [(float(line["step"]), float(line["loss"])) for line in lines if "loss" in line]
    return found


def _chosen(folder: Path, rounds: list[str], picks: dict[str, set[str]]) -> Iterator[Sample]:
    if rounds:
        last = max(rounds, key=int)
        for pair in _some(Records(folder / f"select-{last}", ""), SAMPLES):
            yield _pair("chosen", f"round {last}", "", pair)


def _moved_pairs(folder: Path, rounds: list[str], picks: dict[str, set[str]]) -> Iterator[Sample]:
    """Yield pairs that were chosen in one of the last two rounds only."""
    for earlier, later in list(itertools.pairwise(sorted(rounds, key=int)))[-1:]:
        for step, other, why in (
            (later, earlier, f"came in round {later}"),
            (earlier, later, f"left in round {later}"),
        ):
            pairs = (pair for pair in Records(folder / f"select-{step}", "") if pair.id not in picks[other])
            for pair in _some(pairs, SAMPLES // 3):
                yield _pair("moved", f"round {step}", why, pair)


def _rejected(folder: Path, names: list[str]) -> Iterator[Sample]:
    """Yield the first of what each rule dropped; what a selection passed over is shown as the whole pair."""
    found: list[tuple[str, Rejection]] = []
    for name in names:
        seen: dict[str, int] = defaultdict(int)
        for drop in rejections(folder / name):
            seen[drop.rule] += 1
            if seen[drop.rule] <= PER_RULE:
                found.append((name, drop))
    wanted = {drop.id for name, drop in found if name.startswith("select-")}
    pairs = {pair.id: pair for pair in Records(folder / "augment", "") if pair.id in wanted} if wanted else {}
    for name, drop in found:
        why = f"{drop.rule}: {drop.detail}" if drop.detail else drop.rule
        pair = pairs.get(drop.id)
        instruction, text = (pair.instruction, pair.output) if pair else ("", drop.text)
        licence = pair.licence if pair else ""
        yield Sample("rejected", name, why, instruction[:TEXT], text[:TEXT], None, drop.uri, licence)


def _pair(kind: str, where: str, why: str, pair: Example) -> Sample:
    return Sample(kind, where, why, pair.instruction[:TEXT], pair.output[:TEXT], pair.score, pair.uri, pair.licence)


def _some(pairs: Iterable[Example], count: int) -> list[Example]:
    return heapq.nsmallest(count, pairs, key=lambda pair: draw(0, pair.id))
