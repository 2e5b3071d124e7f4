"""How far a judge is to be trusted: tried on held-out pairs, true and damaged, and on pairs that a user has rated.

Steps like any other, in a folder of their own inside the run: ``calibrate/MARK``, where the mark stands for all that the
figures depend on, so that no calibration is in the way of another.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from askback.config import Labels, RecipeFile, Score
from askback.curate.check import MEAN, separations
from askback.curate.combine import combine
from askback.curate.measures import auroc, kendall, separation, spearman, wilson
from askback.curate.score import score
from askback.curate.scorers import SCORERS
from askback.curate.teach import make_probes
from askback.errors import InputError, RecipeError
from askback.execution.identity import Model, base_model, file_fingerprint, recorded
from askback.execution.run import Steps
from askback.execution.shards import Records, write_json
from askback.execution.step import Step
from askback.lookup import nearest
from askback.records import Judgement, Outcome, Probe, draw, fail, record_id
from askback.rows import BrokenRow, read_rows
from askback.seed.load import load_seed

DECILES = tuple(share / 10 for share in range(1, 10))
COMBINED = "combined"


def calibrate(file: RecipeFile, run: Steps, options: Score, judge: str = "", labels: Labels | None = None) -> Path:
    """Try every scorer of `options` with a judge model, and return the folder that holds ``metrics.json``.

    Args:
        judge: a model of the run ("m0"), "base", or a model folder; by default M_0 if the run has it, else the base.

    Raises:
        InputError: there is no such model, or the labels cannot be read.
    """
    recipe, runs = file.recipe, Path(file.resources.runs) / file.name
    base = run.base()
    model = _judge_model(runs, base, judge)
    marks = [model.fingerprint, *(one.model_dump_json() for one in (recipe.judge.probing(), options, labels) if one)]
    at = f"calibrate/{record_id(*marks)[:8]}"
    seed = run.step("seed", load_seed, recipe.seed)
    sets = {"probes": run.step(f"{at}/probes", make_probes, recipe.judge.probing(), seed=seed)}
    if labels:
        sets["labels"] = run.step(f"{at}/labels", load_labels, labels)
    judged: dict[str, list[Records]] = {}
    for name, (what, records) in itertools.product(options.scorers, sets.items()):
        alone = options.model_copy(update={"scorers": [name]})
        judged.setdefault(name, []).append(
            run.step(f"{at}/{name}-{what}", score, alone, model=model, candidates=records)
        )
    probes: list[Probe] = [probe for records in sets.values() for probe in records]
    judgements = [one for records in judged.values() for part in records for one in part]
    metrics = measure(probes, judgements, recipe.select.weights, recipe.random_seed)
    for scorer, parts in judged.items():
        metrics["scorers"][scorer]["seconds_per_1000"] = _cost(parts, len(probes))
    write_json(runs / at / "metrics.json", {"model": model.id, "taught": list(recipe.judge.kinds), **metrics})
    return runs / at


def scorers_named(options: Score, names: str) -> Score:
    """Return the scoring options with other scorers: names with commas, "all", or "" for those it has.

    Raises:
        RecipeError: there is no such scorer.
    """
    if not names:
        return options
    wanted = list(SCORERS) if names == "all" else [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in SCORERS:
            raise RecipeError(f"--scorers {name}: allowed are all, {', '.join(SCORERS)}.{nearest(name, SCORERS)}")
    return options.model_copy(update={"scorers": wanted})


def _judge_model(run: Path, base: Model, judge: str) -> Model:
    name = judge or ("m0" if (run / "m0/step.json").exists() else "base")
    if name == "base":
        return base
    record = run / name / "step.json"
    if record.exists() and (run / name / "model").is_dir():
        mark = json.loads(record.read_text("utf-8"))["fingerprint"]
        return Model(run / name / "model", f"{name}-{mark[:8]}", mark)
    if Path(judge).is_dir():
        return base_model(judge, "", Path(judge))
    raise InputError(f"--model {judge}: neither a model of {run} that is trained, nor 'base', nor a model folder")


def _cost(parts: Iterable[Records], pairs: int) -> float:
    records = [json.loads((part.folder / "step.json").read_text("utf-8")) for part in parts]
    return float(round(1000 * sum(record["seconds"] for record in records) / max(1, pairs), 1))


WORDS = {"good": 1.0, "bad": 0.0}


@recorded(version=1, sources=lambda options: {options.path: file_fingerprint(Path(options.path))})
def load_labels(step: Step, options: Labels) -> Records:
    """Read pairs that a user has rated, as probes with a label."""
    outcome = Outcome()
    for where, row in read_rows(Path(options.path)):
        if options.limit is not None and len(outcome.kept) == options.limit:
            break
        found = _labelled(where, row)
        if isinstance(found, Probe):
            outcome.keep("labels", found)
        else:
            outcome.drop(fail(record_id(where), "labels", "broken", found, uri=where))
    return step.write(Probe, [outcome])


def _labelled(where: str, row: dict[str, Any] | BrokenRow) -> Probe | str:
    if isinstance(row, BrokenRow):
        return str(row)
    given = row.get("label", row.get("rating"))
    label = WORDS.get(str(given).lower(), given)
    texts = row.get("instruction"), row.get("output")
    if not isinstance(label, (int, float)) or not all(isinstance(text, str) and text.strip() for text in texts):
        keys = ", ".join(map(str, row))
        return f"expected 'instruction', 'output' and a number (or good, bad) under 'label' or 'rating'; found {keys}"
    id = record_id("labelled", where, *map(str, texts))
    return Probe(id, id, "labelled", str(texts[0]), str(texts[1]), where, float(label))


def measure(
    probes: Sequence[Probe], judgements: Sequence[Judgement], weights: Mapping[str, float], random_seed: int = 0
) -> dict[str, Any]:
    """Return the figures of every scorer and, of several, of their combination by `weights`, as plain values."""
    names = list(dict.fromkeys(one.scorer for one in judgements))
    columns = {name: {one.candidate_id: one.score for one in judgements if one.scorer == name} for name in names}
    if len(names) > 1:
        used = {name: weight for name, weight in weights.items() if name in names}
        columns[COMBINED] = combine(judgements, used)
    found = {name: _figures(name, probes, scores, random_seed) for name, scores in columns.items()}
    for name in names:
        own = [one for one in judgements if one.scorer == name and one.distribution]
        found[name]["digits"] = _digits(probes, own)
    return {
        "pairs": sum(probe.kind == "true" for probe in probes),
        "labelled": sum(probe.kind == "labelled" for probe in probes),
        "scorers": found,
        "recommended": recommend(probes, judgements, random_seed),
    }


def _figures(
    name: str, probes: Sequence[Probe], scores: Mapping[str, float | None], random_seed: int
) -> dict[str, Any]:
    present = {probe: value for probe in probes if (value := scores.get(probe.id)) is not None}
    kinds = separations(list(probes), dict(scores), name, random_seed)
    figures: dict[str, Any] = {
        "unscored": 1 - len(present) / max(1, len(probes)),
        "auroc": {one.kind: [one.auroc, one.low, one.high, one.pairs] for one in kinds},
        "histogram": histogram([value for probe, value in present.items() if probe.kind != "scrambled"]),
        "thresholds": thresholds(
            [
                (value, probe.kind == "true")
                for probe, value in present.items()
                if probe.kind in ("true", *_kinds(kinds))
            ]
        ),
    }
    true = [(value, len(probe.output)) for probe, value in present.items() if probe.kind == "true"]
    figures["length"] = spearman(*zip(*true, strict=True)) if true else None
    labelled = [(value, probe) for probe, value in present.items() if probe.label is not None]
    if labelled:
        figures["labels"] = _against_labels(labelled, random_seed)
    return figures


def _kinds(kinds: Iterable[Any]) -> list[str]:
    return [one.kind for one in kinds if one.kind != MEAN]


def good_from(labels: Sequence[float]) -> float:
    """Return from which label on a pair counts as good: the higher of two, or the best fifth of more.

    The paper's own labelled set is a fifth good (method.md 1.8).
    """
    if len(set(labels)) <= 2:
        return max(labels)
    return sorted(labels)[-max(1, len(labels) // 5)]


def _against_labels(labelled: list[tuple[float, Probe]], random_seed: int) -> dict[str, Any]:
    values = [value for value, _ in labelled]
    labels = [probe.label or 0.0 for _, probe in labelled]
    good = good_from(labels)
    sides: tuple[dict[str, float], dict[str, float]] = ({}, {})
    for (value, probe), label in zip(labelled, labels, strict=True):
        sides[label < good][probe.id] = value
    return {
        "good_from": good,
        "spearman": spearman(values, labels),
        "kendall": kendall(values, labels),
        "auroc": separation(sides[0], {"rest": sides[1]}, random_seed)["rest"] if all(sides) else None,
        "thresholds": thresholds([(value, label >= good) for value, label in zip(values, labels, strict=True)]),
    }


def thresholds(scored: Sequence[tuple[float, bool]]) -> list[dict[str, Any]]:
    """Return precision and recall of choosing all at each decile of the score or above, with Wilson's 95 % intervals."""
    ordered = sorted(value for value, _ in scored)
    good = sum(is_good for _, is_good in scored)
    rows = []
    for share in DECILES if ordered else ():
        at = ordered[int(share * len(ordered))]
        chosen = [is_good for value, is_good in scored if value >= at]
        hits = sum(chosen)
        rows.append(
            {
                "threshold": at,
                "chosen": len(chosen) / len(ordered),
                "precision": [hits / len(chosen), *wilson(hits, len(chosen))],
                "recall": [hits / good if good else 0.0, *wilson(hits, good)],
            }
        )
    return rows


def histogram(values: Sequence[float], bins: int = 10) -> list[list[float]]:
    """Return [lower edge, count] of equal bins from the least value to the greatest."""
    if not values:
        return []
    low, high = min(values), max(values)
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / width))] += 1
    return [[low + at * width, count] for at, count in enumerate(counts)]


def _digits(probes: Sequence[Probe], judgements: Sequence[Judgement]) -> dict[str, list[float]]:
    """Return the mean probability of each level on true pairs, and on words in no order, which deserve none of them.

    What the judge favours on the latter it favours whatever it reads: the position bias of a judge that sees one pair.
    """
    kinds = {probe.id: probe.kind for probe in probes}
    found = {}
    for kind in ("true", "scrambled"):
        rows = [one.distribution for one in judgements if kinds[one.candidate_id] == kind]
        found[kind] = [sum(column) / len(column) for column in zip(*rows, strict=True)]
    return found


def recommend(probes: Sequence[Probe], judgements: Sequence[Judgement], random_seed: int = 0) -> dict[str, Any]:
    """Return the weights in quarters with the highest mean AUROC on half of the pairs, and their AUROC on the other half.

    The mean is over the kinds of damage, and over the labels, good and not, as one more. `threshold` is, among the
    deciles of the combined score that keep half of the true pairs or more, the one with the best lower bound of precision.
    """
    names = list(dict.fromkeys(one.scorer for one in judgements))
    chosen_on, rest = halves(probes, random_seed)
    grid = [
        {name: weight for name, weight in zip(names, weights, strict=True) if weight}
        for weights in itertools.product((0, 1, 2, 3, 4), repeat=len(names))
        if sum(weights) == 4
    ]
    best = max(grid, key=lambda weights: (mean_auroc(chosen_on, judgements, weights), -len(weights)))
    scores = combine(judgements, best)
    scored = [
        (value, probe.kind == "true")
        for probe in probes
        if probe.kind not in ("scrambled", "labelled") and (value := scores.get(probe.id)) is not None
    ]
    rows = [row for row in thresholds(scored) if row["recall"][0] >= 0.5]
    chosen = max(rows, key=lambda row: row["precision"][1], default=None)
    return {
        "weights": best,
        "auroc_chosen_on": mean_auroc(chosen_on, judgements, best),
        "auroc_on_the_rest": mean_auroc(rest, judgements, best),
        "threshold": chosen,
    }


def halves(probes: Iterable[Probe], random_seed: int) -> tuple[list[Probe], list[Probe]]:
    """Return the probes of one half of the pairs, and those of the other."""
    parts: tuple[list[Probe], list[Probe]] = ([], [])
    for probe in probes:
        parts[draw(random_seed, "half", probe.pair_id) % 2].append(probe)
    return parts


def mean_auroc(probes: Sequence[Probe], judgements: Iterable[Judgement], weights: Mapping[str, float]) -> float:
    """Return the AUROC of a weighting, averaged over kinds of damage and labels; 0.5 where there is nothing to tell."""
    ids = {probe.id for probe in probes}
    scores = combine([one for one in judgements if one.candidate_id in ids], weights)
    values = point_aurocs(probes, scores)
    return sum(values.values()) / len(values) if values else 0.5


def point_aurocs(probes: Sequence[Probe], scores: Mapping[str, float | None]) -> dict[str, float]:
    """Return kind → AUROC, without intervals; "labelled" is the good ones against the rest."""
    labels = [probe.label for probe in probes if probe.label is not None]
    good = good_from(labels) if labels else 0.0
    sides: dict[str, list[float]] = {}
    for probe in probes:
        value = scores.get(probe.id)
        if value is not None:
            kind = probe.kind if probe.label is None else "good" if probe.label >= good else "labelled"
            sides.setdefault(kind, []).append(value)
    against = {kind: sides.get("good" if kind == "labelled" else "true", []) for kind in sides}
    return {
        kind: auroc(against[kind], values)
        for kind, values in sides.items()
        if kind not in ("true", "good", "scrambled") and against[kind]
    }
