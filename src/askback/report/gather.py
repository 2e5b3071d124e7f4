"""The data of a report of one run: plain values, read from its folder."""

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from askback.curate import levels
from askback.curate.combine import combine
from askback.curate.levels import Spread
from askback.evaluate.verbs import RULES, count_verbs, verb_noun
from askback.execution.on_disk import read_json
from askback.execution.shards import Records
from askback.methods import names
from askback.records import Candidate, Example, Judgement, Separation, draw
from askback.report.samples import Sample, Scores, samples
from askback.studies import sides
from askback.studies.description import LOOKED_AT
from askback.studies.run_folder import Result, chosen, data_step, finished, recipe_tree, result
from askback.studies.study import FOLDER
from askback.studies.summary import Lengths, Stage, agreements, checks, funnel, lacking, lengths, training
from askback.text.verbs import verbs

POINTS = 1500
"""Largest number of candidates in a plot of movements, drawn by their ids."""
WHERE = {(False, False): "not chosen", (True, True): "chosen in both", (False, True): "came", (True, False): "left"}
"""(chosen in the round before, chosen in this one) → the name of the group."""


@dataclass(frozen=True)
class Movement:
    """The changes of a round. `points` holds (score before, score after) of some candidates, by group (`WHERE`).

    `shared` is the share of the chosen pairs that were chosen before; `came` and `left` count the others of this round and
    of the one before; `jaccard` and `rank_correlation` are those of the selection.
    """

    round: int
    chosen: int
    came: int
    left: int
    shared: float
    jaccard: float
    rank_correlation: float | None
    points: dict[str, list[tuple[float, float]]]


@dataclass(frozen=True)
class Diversity:
    """Verbs and nouns of a set's instructions: the fields of `Verbs`, and the number of instructions examined."""

    looked_at: int
    coverage: float
    distinct: int
    top: list[tuple[str, int, list[tuple[str, int]]]]
    by: str


@dataclass(frozen=True)
class View:
    """One run. `losses` are by set of pairs and model (studies/sides.py), those of an evaluation too, and `pairs` the
    records of what the run itself measured; scores are by scorer and round.

    `lacking` says where fewer pairs were chosen than are wanted; `styles` holds, for each style that was asked for, the
    numbers of candidates and of chosen pairs. `checks` holds, by round, the judge's separation of true pairs from each kind
    of damage. `evaluation`, `study` and `calibrations`
    are the results of ``askback evaluate``, ``askback study`` and each ``askback calibrate``, if any.
    """

    name: str
    recipe: str
    options: dict[str, Any]
    steps: list[dict[str, Any]]
    stages: list[Stage]
    lengths: list[Lengths]
    texts: dict[str, dict[str, list[float]]]
    diversity: dict[str, Diversity]
    losses: dict[str, dict[str, dict[str, Any]]]
    pairs: sides.Losses
    scores: dict[str, dict[int, list[float]]]
    spreads: list[tuple[int, Spread]]
    movements: list[Movement]
    checks: dict[str, list[Separation]]
    training: dict[str, list[tuple[float, float]]]
    evaluation: dict[str, Any]
    study: dict[str, Any]
    calibrations: list[dict[str, Any]]
    stale: bool
    lacking: list[str]
    styles: dict[str, tuple[int, int]]
    result: Result | None = None
    samples: list[Sample] = field(default_factory=list)

    @property
    def base(self) -> str:
        """Return the name of the base model."""
        return str(self.options.get("base", ""))


def gather(folder: Path, name: str = "") -> View:
    """Read the data of a run folder, finished or not; `name` is the folder's own unless given.

    Raises:
        InputError: this is no run folder.
    """
    steps = finished(folder)
    made = [step["step"] for step in steps]
    options = recipe_tree(folder)
    recipe = (folder / "recipe.yaml").read_text("utf-8")
    picks = {
        t: {pair.id for pair in Records[Example](folder / names.choice(t), "")}
        for t in names.rounds(names.choice, made)
    }
    select = options.get("select", {})
    judged = {t: _judged(folder / names.judgements(t), select) for t in names.rounds(names.judgements, made)}
    by_scorer = {t: found for t, (found, _) in judged.items()}
    combined = {t: found for t, (_, found) in judged.items()}
    evaluation = _summary(folder / "evaluate/summary.json")
    recorded = sides.recorded(folder)
    stale = _stale(evaluation, steps)
    evaluation = {} if stale else evaluation
    return View(
        name=name or folder.resolve().name,
        recipe=recipe,
        options=options,
        steps=steps,
        stages=list(funnel(folder)),
        lengths=list(lengths(folder)),
        texts=_text_lengths(folder, made),
        diversity=_diversity(folder, made, evaluation.get("data", {})),
        losses={**sides.measured(recorded), **evaluation.get("losses", {})},
        pairs=recorded,
        scores=_present(by_scorer),
        spreads=[
            (t, by_scorer[t][scorer].spread())
            for scorer in dict.fromkeys(name for found in by_scorer.values() for name in found)
            for t in by_scorer
            if scorer in by_scorer[t]
        ],
        movements=list(_movements(agreements(folder), picks, combined)),
        checks=checks(folder),
        training=_training(folder, made),
        evaluation=evaluation,
        study=_summary(folder / FOLDER / "summary.json"),
        calibrations=[_summary(path) for path in sorted(folder.glob("calibrate/*/metrics.json"), key=_age)],
        stale=stale,
        lacking=lacking(folder),
        styles=_styles(folder, made),
        result=result(folder),
        samples=samples(folder, made, picks, combined),
    )


def _styles(folder: Path, made: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return style → the numbers of its candidates and of those in the run's data."""
    last = {one.id for one in chosen(folder)} if data_step(folder) else set[str]()
    asked, taken = Counter[str](), Counter[str]()
    for one in Records[Candidate](folder / names.CANDIDATES, "") if names.CANDIDATES in made else ():
        asked[one.style] += 1
        taken[one.style] += one.id in last
    return {style: (count, taken[style]) for style, count in asked.most_common() if style}


def _summary(path: Path) -> dict[str, Any]:
    return read_json(path, dict[str, Any]) if path.exists() else {}


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _stale(evaluation: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether models were trained again after the evaluation."""
    now = {step["step"]: f"{step['step']}-{step['fingerprint'][:8]}" for step in steps}
    return any(now.get(name, id) != id for name, id in evaluation.get("models", {}).items() if name != names.BASE)


def _judged(folder: Path, select: Mapping[str, Any]) -> tuple[dict[str, levels.Scores], Scores]:
    """Return the scores of a round by scorer, and the combined scores that its selection used, by candidate."""
    by_scorer: dict[str, levels.Scores] = {}

    def noted() -> Iterator[Judgement]:
        for judgement in Records[Judgement](folder, ""):
            by_scorer.setdefault(judgement.scorer, levels.Scores(judgement.scorer)).add(judgement)
            yield judgement

    by_level = select.get("min_probability") is not None
    return by_scorer, combine(levels.by_highest_level(noted()) if by_level else noted(), select.get("weights", {}))


def _present(judged: Mapping[int, Mapping[str, levels.Scores]]) -> dict[str, dict[int, list[float]]]:
    found: dict[str, dict[int, list[float]]] = defaultdict(dict)
    for t, scorers in judged.items():
        for scorer, scores in scorers.items():
            found[scorer][t] = [score for score in scores.scores if score is not None]
    return found


def _movements(
    agreements: Mapping[str, Mapping[str, float | None]], picks: Mapping[int, set[str]], scores: Mapping[int, Scores]
) -> Iterator[Movement]:
    """Yield the changes of each round after the first."""
    for earlier, later in itertools.pairwise(sorted(picks)):
        before, after = scores.get(earlier, {}), scores.get(later, {})
        points: dict[str, list[tuple[float, float]]] = {where: [] for where in WHERE.values()}
        for id in heapq.nsmallest(POINTS, before.keys() & after.keys(), key=lambda id: draw(0, id)):
            first, second = before[id], after[id]
            if first is not None and second is not None:
                points[WHERE[id in picks[earlier], id in picks[later]]].append((first, second))
        agreed = agreements.get(str(later), {})
        yield Movement(
            round=later,
            chosen=len(picks[later]),
            came=len(picks[later] - picks[earlier]),
            left=len(picks[earlier] - picks[later]),
            shared=agreed.get("shared") or 0.0,
            jaccard=agreed.get("jaccard") or 0.0,
            rank_correlation=agreed.get("rank_correlation"),
            points=points,
        )


def _sets(folder: Path, made: Sequence[str]) -> dict[str, str]:
    """Return the sets of pairs that are described, with the step of each; "chosen" is the run's data."""
    sets = {"seed": names.SEED, "candidates": names.CANDIDATES, "chosen": data_step(folder)}
    return {title: step for title, step in sets.items() if step in made}


def _text_lengths(folder: Path, made: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Return, for instructions and outputs, the lengths in each set, in characters."""
    found: dict[str, dict[str, list[float]]] = {"instruction": {}, "output": {}}
    for title, step in _sets(folder, made).items():
        sizes = [
            (float(len(one.instruction)), float(len(one.output)))
            for one in Records[Example | Candidate](folder / step, "")
        ]
        for at, side in enumerate(found):
            found[side][title] = [size[at] for size in sizes]
    return found


def _diversity(folder: Path, made: Sequence[str], described: Mapping[str, Any]) -> dict[str, Diversity]:
    """Return the verbs and nouns of each set's instructions, from the evaluation, or else by rules."""
    known = verbs()[0]
    found = {}
    for title, step in _sets(folder, made).items():
        if statistics := described.get("all candidates" if title == "candidates" else title):
            own = statistics["verbs"]
            by = own.get("by", RULES)
            found[title] = Diversity(statistics["looked_at"], own["coverage"], own["distinct"], own["top"], by)
            continue
        some = heapq.nsmallest(LOOKED_AT, Records[Example | Candidate](folder / step, ""), key=lambda one: one.id)
        seen = count_verbs(verb_noun(one.instruction, known) for one in some)
        found[title] = Diversity(len(some), seen.coverage, seen.distinct, seen.top, RULES)
    return found


def _training(folder: Path, made: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """Return the training loss by optimiser step of every training."""
    found = {}
    for name in made:
        lines = list(training(folder, name))
        if lines:
            found[name] = [(float(line["step"]), float(line["loss"])) for line in lines if "loss" in line]
    return found
