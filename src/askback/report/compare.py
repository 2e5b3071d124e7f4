"""Several runs side by side, in words: the results of each, and the differences of their recipes."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askback.curate.check import MEAN
from askback.curate.judge_figures import COMBINED
from askback.evaluate.difference import Interval, loss_difference, student_t
from askback.evaluate.repeated import repeated_difference
from askback.execution.progress import duration
from askback.methods import names
from askback.records import Loss
from askback.report.gather import View
from askback.report.pictures import win_rates
from askback.studies import sides

SHORT = {sides.HELD_OUT: "seed pairs", sides.DOCUMENTS: "documents"}
Facts = dict[str, str]
"""Name of a fact → its value, in words."""


def facts(view: View) -> Facts:
    """Return the results of a run so far."""
    found = {"base model": view.base, **_records(view)}
    for t, separations in view.checks.items():
        for one in separations:
            if one.kind == MEAN and one.scorer == COMBINED:
                found[f"judge of round {t}, AUROC"] = f"{one.auroc:.2f} ({one.low:.2f} to {one.high:.2f})"
    for side in (side for side in sides.SIDES if side in view.losses):
        for model, row in view.losses[side].items():
            found[f"loss on {SHORT[side]}, {model}"] = f"{row['loss']:.4f}"
        for model, row in view.losses[side].items():
            if apart := row.get("against_m0"):
                found[f"{model} − m0 on {SHORT[side]}"] = sides.interval(apart)
    for label, rate, low, high in win_rates(view.evaluation):
        found[f"win rate, {label}"] = f"{rate:.1f} % ({low:.1f} to {high:.1f})"
    if view.result is not None:
        found["result"] = names.model(view.result.round)
    seconds = sum(step["seconds"] for step in view.steps)
    return {**found, "time": duration(seconds), "tokens": f"{sum(step['tokens'] for step in view.steps):,}"}


def glance(view: View) -> list[tuple[str, str, str]]:
    """Return the main figures of a run: (figure, its name, a figure to compare it with)."""
    counts, losses = _records(view), view.losses[sides.HELD_OUT]
    tiles: list[tuple[str, str, str]] = [
        (counts[name], name, "") for name in ("documents", "segments", "candidates") if name in counts
    ]
    chosen = [name for name in counts if name.startswith("chosen")]
    if chosen:
        kept = f"chosen, round {view.result.data_round}" if view.result else chosen[-1]
        tiles.append((counts.get(kept, counts[chosen[-1]]), "pairs chosen", f"in {kept.rpartition(', ')[2]}"))
    if view.result is not None and (row := losses.get(names.model(view.result.round))):
        base = f"base model {losses['base']['loss']:.3f}" if "base" in losses else ""
        tiles.append((f"{row['loss']:.3f}", "held-out loss, nats per token", base))
        ends = f"of {names.model(0)} to {names.model(view.result.rounds)}"
        tiles.append((names.model(view.result.round), "is the result", ends))
    tiles.append((duration(sum(step["seconds"] for step in view.steps)), "of work", ""))
    return tiles


def _records(view: View) -> Facts:
    """Return the numbers of documents, segments, candidates and chosen pairs of a run."""
    found = {}
    for stage in view.stages:
        if (stage.step, stage.name) == (names.SEGMENTS, "documents"):
            found["documents"] = f"{stage.entered:,}"
        elif stage.step == names.CORPUS:
            found["segments"] = f"{stage.kept:,}"
        elif stage.step == names.CANDIDATES:
            found["candidates"] = f"{stage.kept:,}"
        elif (t := names.round_of(stage.step)) and stage.step == names.choice(t):
            found[f"chosen, round {t}"] = f"{stage.kept:,}"
    return found


def beside(views: Sequence[View]) -> dict[str, list[str]]:
    """Return the facts of every run, a list for each fact, "" where a run has none."""
    every = [facts(view) for view in views]
    every_fact = dict.fromkeys(name for found in every for name in found)
    return {name: [found.get(name, "") for found in every] for name in every_fact}


def repeated(views: Sequence[View]) -> list[str]:
    """Return, where the runs are one recipe with several random seeds, what they say together, a line a side and model.

    Its interval holds the chance in which pairs are held out and that of the trainings.
    """
    if len(views) < 2 or differences(views).keys() != {"random_seed"}:
        return []
    lines = []
    for side, short in SHORT.items():
        for model in (model for model in views[0].losses.get(side, {}) if model not in (names.BASE, sides.M0)):
            pairs = [view.pairs.get(side, {}) for view in views]
            if all(model in one and sides.M0 in one for one in pairs):
                apart = sides.interval(_together(pairs, model)._asdict())
                lines.append(
                    f"{model} − m0 on {short} over {len(views)} random seeds: {apart}; this interval holds the choice of "
                    "pairs and the trainings, those above the choice of pairs alone."
                )
    return lines


def _together(pairs: Sequence[Mapping[str, list[Loss]]], model: str) -> Interval:
    """Return the mean difference to M_0 with its interval; where runs hold out other pairs, each run is one observation."""
    before, after = [one[sides.M0] for one in pairs], [one[model] for one in pairs]
    shared = set.intersection(*({loss.example_id for loss in losses} for losses in (*before, *after)))
    if len(shared) > 1 and all(len(losses) == len(shared) for losses in (*before, *after)):
        return Interval(*repeated_difference(before, after, sides.CONFIDENCE)[:3])
    each = [loss_difference(one, other, sides.CONFIDENCE).difference for one, other in zip(before, after, strict=True)]
    reach = statistics.stdev(each) / math.sqrt(len(each)) * student_t((1 + sides.CONFIDENCE) / 2, len(each) - 1)
    return Interval(statistics.fmean(each), statistics.fmean(each) - reach, statistics.fmean(each) + reach)


def differences(views: Sequence[View]) -> dict[str, list[str]]:
    """Return the options of the recipes that are not the same in all runs."""
    every = [dict(_flat(view.options)) for view in views]
    every_option = dict.fromkeys(name for found in every for name in found)
    rows = {name: [found.get(name, "") for found in every] for name in every_option}
    return {name: row for name, row in rows.items() if len(set(row)) > 1}


def _flat(options: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(options, dict):
        for key, value in options.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    elif isinstance(options, list) and any(isinstance(one, dict) for one in options):
        for number, value in enumerate(options, 1):
            yield from _flat(value, f"{name} {number}")
    else:
        yield name, ", ".join(map(str, options)) if isinstance(options, list) else str(options)
