"""Figures of each scorer and of their combination, from probes and their judgements; and recommended weights. Pure."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from askback.curate.agreement import spearman
from askback.curate.check import MEAN, separations
from askback.curate.combine import combine
from askback.curate.label_file import KEEP
from askback.curate.levels import spreads
from askback.curate.measures import auroc, kendall, separation, wilson
from askback.records import Judgement, Probe, draw

DECILES = tuple(share / 10 for share in range(1, 10))
COMBINED = "combined"
TIE = 0.5
"""The label of both pairs of a comparison that ended in a tie."""


def measure(
    probes: Sequence[Probe], judgements: Sequence[Judgement], weights: Mapping[str, float], random_seed: int = 0
) -> dict[str, Any]:
    """Return, as plain values, the figures of every scorer and of the combination of several by `weights`."""
    names = list(dict.fromkeys(one.scorer for one in judgements))
    good = good_from([probe.label or 0.0 for probe in probes if probe.kind == "labelled"])
    columns = {name: {one.candidate_id: one.score for one in judgements if one.scorer == name} for name in names}
    if len(names) > 1:
        used = {name: weight for name, weight in weights.items() if name in names}
        columns[COMBINED] = combine(judgements, used)
    found = {name: _figures(name, probes, scores, good, random_seed) for name, scores in columns.items()}
    true = {probe.id for probe in probes if probe.kind == "true"}
    for name in names:
        own = [one for one in judgements if one.scorer == name and one.distribution]
        found[name]["digits"] = _digits(probes, own)
        of_true = [one for one in judgements if one.scorer == name and one.candidate_id in true]
        found[name]["spread"] = [asdict(one) for one in spreads(of_true)]
    return {
        "pairs": sum(probe.kind == "true" for probe in probes),
        "labelled": sum(probe.kind == "labelled" for probe in probes),
        "compared": sum(probe.kind == "compared" for probe in probes) // 2,
        "scorers": found,
        "recommended": recommend(probes, judgements, good, random_seed),
    }


def _figures(
    name: str, probes: Sequence[Probe], scores: Mapping[str, float | None], good: float, random_seed: int
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
    true = [probe for probe in present if probe.kind == "true"]
    figures["length"] = spearman([present[probe] for probe in true], [len(probe.output) for probe in true])
    labelled = [(value, probe) for probe, value in present.items() if probe.kind == "labelled"]
    if labelled:
        figures["labels"] = _against_labels(labelled, good, random_seed)
    if comparisons := _compared(present):
        figures["comparisons"] = _against_comparisons(present, comparisons)
    return figures


def _compared(present: Mapping[Probe, float]) -> list[tuple[Probe, Probe]]:
    """Return the comparisons, the better pair first, of which both pairs have a score and neither tied."""
    found: dict[str, list[Probe]] = {}
    for probe in present:
        if probe.kind == "compared" and probe.label != TIE:
            found.setdefault(probe.pair_id, []).append(probe)
    ordered = (sorted(two, key=lambda probe: -(probe.label or 0.0)) for two in found.values() if len(two) == 2)
    return [(better, other) for better, other in ordered]


def _against_comparisons(scores: Mapping[Probe, float], comparisons: Sequence[tuple[Probe, Probe]]) -> dict[str, Any]:
    """Return the share of comparisons in which the better pair scores higher, and in which its output is longer."""
    return {"pairs": len(comparisons)} | {
        name: share_won([(of(better), of(other)) for better, other in comparisons])
        for name, of in (("agreement", scores.__getitem__), ("length", lambda probe: float(len(probe.output))))
    }


def share_won(values: Sequence[tuple[float, float]]) -> list[float]:
    """Return the share of (one, other) in which one is higher, ties half, with Wilson's 95 % interval."""
    won = sum((one > other) + (one == other) / 2 for one, other in values)
    return [won / len(values), *wilson(won, len(values))]


def _kinds(kinds: Iterable[Any]) -> list[str]:
    return [one.kind for one in kinds if one.kind != MEAN]


def good_from(labels: Sequence[float]) -> float:
    """Return the label from which on a pair counts as good: of levels from 1 to 5 the level that the review page keeps
    from, else the higher of two labels, or the best fifth of more; 0 without labels.

    The lowest label is never good where there is another, even if nine in ten pairs have it. A fifth of the paper's own
    labelled set is good (method.md 1.8).
    """
    levels = sorted(set(labels))
    if len(levels) <= 2:
        return levels[-1] if levels else 0.0
    if set(levels) <= {1.0, 2.0, 3.0, 4.0, 5.0} and levels[-1] >= KEEP:
        return max(levels[1], float(KEEP))
    return max(levels[1], sorted(labels)[-max(1, len(labels) // 5)])


def _against_labels(labelled: list[tuple[float, Probe]], good: float, random_seed: int) -> dict[str, Any]:
    values = [value for value, _ in labelled]
    labels = [probe.label or 0.0 for _, probe in labelled]
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
    """Return precision and recall of each decile of the score as a threshold, with Wilson's 95 % intervals."""
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
    """Return [lower edge, count] of equally wide bins from the smallest value to the largest."""
    if not values:
        return []
    low, high = min(values), max(values)
    width = (high - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / width))] += 1
    return [[low + at * width, count] for at, count in enumerate(counts)]


def _digits(probes: Sequence[Probe], judgements: Sequence[Judgement]) -> dict[str, list[float]]:
    """Return the mean probability of each level on true pairs, and on shuffled words.

    A level that is likely on shuffled words is one that the judge prefers whatever it reads.
    """
    kinds = {probe.id: probe.kind for probe in probes}
    found = {}
    for kind in ("true", "scrambled"):
        rows = [one.distribution for one in judgements if kinds[one.candidate_id] == kind]
        found[kind] = [sum(column) / len(column) for column in zip(*rows, strict=True)]
    return found


def recommend(
    probes: Sequence[Probe], judgements: Sequence[Judgement], good: float, random_seed: int
) -> dict[str, Any] | None:
    """Return the weights in quarters with the highest mean AUROC on half of the pairs, and their AUROC on the other half.

    None where one half lacks true or damaged pairs. The mean is over the kinds of damage and, as one more, good labels
    (from `good` on, see `good_from`) against the others. `threshold` is the decile of the combined score with the best
    lower bound of precision among those that keep at least half of the true pairs.
    """
    names = list(dict.fromkeys(one.scorer for one in judgements))
    chosen_on, rest = halves(probes, random_seed)
    grid = [
        {name: weight for name, weight in zip(names, weights, strict=True) if weight}
        for weights in itertools.product((0, 1, 2, 3, 4), repeat=len(names))
        if sum(weights) == 4
    ]
    best = max(grid, key=lambda weights: (mean_auroc(chosen_on, judgements, weights, good) or 0.0, -len(weights)))
    on, other = (mean_auroc(half, judgements, best, good) for half in (chosen_on, rest))
    if on is None or other is None:
        return None
    scores = combine(judgements, best)
    scored = [
        (value, probe.kind == "true")
        for probe in probes
        if probe.kind not in ("scrambled", "labelled", "compared") and (value := scores.get(probe.id)) is not None
    ]
    rows = [row for row in thresholds(scored) if row["recall"][0] >= 0.5]
    chosen = max(rows, key=lambda row: row["precision"][1], default=None)
    return {"weights": best, "auroc_chosen_on": on, "auroc_on_the_rest": other, "threshold": chosen}


def halves(probes: Iterable[Probe], random_seed: int) -> tuple[list[Probe], list[Probe]]:
    """Return the probes of one half of the pairs, and those of the other."""
    parts: tuple[list[Probe], list[Probe]] = ([], [])
    for probe in probes:
        parts[draw(random_seed, "half", probe.pair_id) % 2].append(probe)
    return parts


def mean_auroc(
    probes: Sequence[Probe], judgements: Iterable[Judgement], weights: Mapping[str, float], good: float
) -> float | None:
    """Return the AUROC of a weighting, averaged over kinds of damage and labels; None without any."""
    ids = {probe.id for probe in probes}
    scores = combine([one for one in judgements if one.candidate_id in ids], weights)
    values = point_aurocs(probes, scores, good)
    return sum(values.values()) / len(values) if values else None


def point_aurocs(probes: Sequence[Probe], scores: Mapping[str, float | None], good: float) -> dict[str, float]:
    """Return kind → AUROC, without intervals; "labelled" compares labels from `good` on with the others."""
    sides: dict[str, list[float]] = {}
    for probe in probes:
        value = scores.get(probe.id)
        if value is not None and probe.kind != "compared":
            kind = probe.kind if probe.label is None else "good" if probe.label >= good else "labelled"
            sides.setdefault(kind, []).append(value)
    against = {kind: sides.get("good" if kind == "labelled" else "true", []) for kind in sides}
    return {
        kind: auroc(against[kind], values)
        for kind, values in sides.items()
        if kind not in ("true", "good", "scrambled") and against[kind]
    }
