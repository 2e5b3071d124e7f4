"""The plots of a run, or of several side by side: view → pictures by their place on the page."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from askback.curate.check import MEAN
from askback.curate.judge_figures import COMBINED
from askback.curate.measures import Z95
from askback.execution.progress import duration
from askback.methods import names
from askback.owned import atomic
from askback.report import plots
from askback.report.axes import formatted
from askback.report.gather import View
from askback.studies import sides
from askback.studies.comparisons import WIN_RATE

NATS = "nats per token (less is better)"
APART = "nats per token (below 0 is better)"
AUROC = "AUROC (dashed: 0.5, chance)"
SIZES = "examples N (logarithmic)"

Pictures = dict[str, str]


def of_run(view: View) -> Pictures:
    """Draw every plot for which the run has data."""
    found = {
        **_losses({view.name: view}),
        "training": plots.lines("Training loss", view.training, "optimiser step", "nats per token"),
        "gates": plots.intervals("Against the best before", {"gates": gates(view)}, APART, 0, 4),
        "seconds": plots.bars("Time by step", _seconds(view.steps), "seconds"),
        **{f"text {side}": plots.histogram(side, sets, "characters") for side, sets in view.texts.items()},
        **{
            f"verbs {name}": plots.sunburst(f"Instructions, {name}", asked.top)
            for name, asked in view.diversity.items()
        },
        **{f"study {title}": drawn for title, (drawn, _) in _study(view.study).items()},
        **_judges(view),
    }
    for scorer, rounds in view.scores.items():
        named = {f"round {t}": scores for t, scores in rounds.items()}
        found[f"scores {scorer}"] = plots.histogram(f"Scores: {scorer}", named, "score")
    for moved in view.movements:
        axes = (f"score in round {moved.round - 1}", f"score in round {moved.round}")
        found[f"moved {moved.round}"] = plots.scatter("How scores moved", moved.points, *axes)
    return {name: drawn for name, drawn in found.items() if drawn}


def of_all(views: Sequence[View]) -> Pictures:
    """Draw the plots that compare runs."""
    named = {view.name: view for view in views}
    chosen = {name: view.texts["output"].get("chosen", []) for name, view in named.items()}
    judges = {name: _means(view) for name, view in named.items()}
    found = {
        **_losses(named),
        "judges": plots.intervals("Judges", judges, AUROC, 0.5, 2),
        "text output": plots.histogram("Output lengths", chosen, "characters"),
    }
    return {name: drawn for name, drawn in found.items() if drawn}


def _losses(views: Mapping[str, View]) -> Pictures:
    """Draw the losses and win rates of one run or of several."""
    tables = {name: view.losses[sides.HELD_OUT] for name, view in views.items()}
    losses = {
        name: [(model, row["loss"], None, None) for model, row in table.items()] for name, table in tables.items()
    }
    tables = {
        ", ".join([*([name] if len(views) > 1 else []), sides.title(side)]): table
        for name, view in views.items()
        for side, table in view.losses.items()
        if len(views) == 1 or side in sides.SIDES
    }
    against = {name: [differing(model, row) for model, row in table.items()] for name, table in tables.items()}
    rates = {name: win_rates(view.evaluation) for name, view in views.items()}
    controlled = {name: win_rates(view.evaluation, "length_controlled") for name, view in views.items()}
    if len(views) == 1:
        (plain,), (fair,) = rates.values(), controlled.values()
        rates = {"win rate": plain, "length-controlled": fair}
    return {
        "losses": plots.intervals("Held-out loss by model", losses, NATS),
        "against m0": plots.intervals(
            "Against M_0", {name: [row for row in rows if row] for name, rows in against.items()}, APART, 0, 4
        ),
        "win rates": plots.intervals("Win rates", rates, "% of prompts won (dashed: 50)", 50, 1),
    }


def differing(model: str, row: Mapping[str, Any]) -> plots.Row | None:
    """Return how a model's loss differs from that of M_0, None where that was not measured."""
    found = row.get("against_m0")
    return (f"{model} − m0", found["difference"], found["low"], found["high"]) if found else None


def gates(view: View) -> list[plots.Row]:
    """Return the gate's comparisons of each later model with the best before it; none where that was always M_0."""
    found = view.result.gates if view.result else []
    rows = [
        (" − ".join(map(names.model, (gate["round"], gate["against"]))), gate["difference"], gate["low"], gate["high"])
        for gate in found
    ]
    return rows if any(gate["against"] for gate in found) else []


def win_rates(evaluation: Mapping[str, Any], kind: str = "total") -> list[plots.Row]:
    """Return each comparison's win rate in percent, with its 95 % interval from the standard error."""
    compared = [row for row in evaluation.get("win_rates", {}).values() if row[kind]]
    labels = [f"{row['model']} : {Path(row['baseline']).stem}, {Path(row['prompts']).stem}" for row in compared]
    rows: list[plots.Row] = []
    for label, row in zip(labels, compared, strict=True):
        rate, error = row[kind]["win_rate"], Z95 * row[kind]["standard_error"]
        judge = f", by {Path(row['judge']).name}" if labels.count(label) > 1 else ""
        rows.append((label + judge, rate, rate - error, rate + error))
    return rows


def _means(view: View) -> list[plots.Row]:
    return [
        (f"judge of round {t}", one.auroc, one.low, one.high)
        for t, found in view.checks.items()
        for one in found
        if one.kind == MEAN and one.scorer == COMBINED
    ]


def _judges(view: View) -> Pictures:
    """Draw how each scorer separates true pairs from damaged ones, a row for each kind of damage, a mark for each round."""
    scorers = dict.fromkeys(one.scorer for found in view.checks.values() for one in found)
    found = {
        f"judge {scorer}": plots.intervals(
            f"Judge: {scorer}",
            {
                f"round {t}": [(one.kind, one.auroc, one.low, one.high) for one in every if one.scorer == scorer]
                for t, every in view.checks.items()
            },
            AUROC,
            0.5,
            2,
        )
        for scorer in scorers
    }
    for number, calibration in enumerate(view.calibrations):
        found |= {f"calibration {number} {name}": drawn for name, drawn in _calibration(calibration).items()}
    return found


def _calibration(metrics: Mapping[str, Any]) -> Pictures:
    """Draw the figures of a calibration: AUROC by damage, distributions of scores, precision and recall."""
    scorers = metrics["scorers"]
    kinds = {name: [(kind, *row[:3]) for kind, row in own["auroc"].items()] for name, own in scorers.items()}
    found = {"auroc": plots.intervals("Calibration", kinds, AUROC, 0.5, 2)}
    for name, own in scorers.items():
        if rows := own["histogram"]:
            total = sum(count for _, count in rows)
            end = rows[-1][0] + (rows[-1][0] - rows[0][0]) / max(1, len(rows) - 1)
            shares = {name: [count / total for _, count in rows]}
            found[f"scores {name}"] = plots.outlines(f"Scores: {name}", (rows[0][0], end), shares, "score")
    name = best_scorer(metrics)
    series = {
        measure: [(row["threshold"], row[measure][0]) for row in scorers[name]["thresholds"]]
        for measure in ("precision", "recall")
    }
    found["thresholds"] = plots.lines(f"Thresholds of {name}", series, "score at which pairs are taken", "share")
    return found


def best_scorer(metrics: Mapping[str, Any]) -> str:
    """Return the scorer whose thresholds a calibration shows: the combination, if there is one."""
    return COMBINED if COMBINED in metrics["scorers"] else str(next(iter(metrics["scorers"])))


def _study(found: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the pictures of a study by title, each for the page and as a file of its own.

    Of what is measured, there are the comparisons, and, where a set has several sizes, its curve.
    """
    drawn = {}
    for measure, fits in found.get("fits", {}).items():
        rows = [
            (f"{row['set']} − {row['against']}, N = {row['size']:,}", row["difference"], row["low"], row["high"])
            for row in found["contrasts"]
            if row["measure"] == measure
        ]
        title = f"Comparisons on {measure}"
        picture = plots.intervals(title, {measure: rows}, APART, 0, 4)
        drawn[title] = picture, plots.intervals_file(title, rows, APART, 0, 4)
        points = _points(found, measure)
        if any(len(row) > 1 for row in points.values()):
            lines = {name: (fit["alpha"], fit["constant"]) for name, fit in fits.items()}
            named = [f"{name}, {_alpha(fits[name])}" if name in fits else name for name in points]
            title, unit = f"Growth: {measure}", "%" if measure == WIN_RATE else NATS
            whole = plots.curves(title, points, lines, SIZES, unit)
            drawn[title] = whole, plots.curves_file(title, points, lines, SIZES, unit, named)
    return {title: both for title, both in drawn.items() if both[0]}


def write_figures(folder: Path, found: Mapping[str, Any]) -> list[Path]:
    """Write the pictures of a study into its folder, an SVG file each; return the files.

    Args:
        found: what is in its ``summary.json``.
    """
    files = []
    for title, (_, picture) in _study(found).items():
        files.append(folder / f"{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}.svg")
        with atomic(files[-1]) as temporary:
            temporary.write_text(picture, "utf-8")
    return files


def _points(found: Mapping[str, Any], measure: str) -> plots.Points:
    """Return the values of each set with half the width of their intervals; M_0, of no added examples, is in none."""
    points: dict[str, list[tuple[int, float, float]]] = {}
    for point in found["points"]:
        if point.get(measure) is not None and point["size"]:
            error = Z95 * point.get("standard_error", 0.0) if measure == WIN_RATE else 0.0
            points.setdefault(point["set"], []).append((point["size"], point[measure], error))
    return points


def _alpha(fit: Mapping[str, Any]) -> str:
    """Return a fit's alpha in words, with its interval."""
    if fit["low"] is None:
        return f"α {formatted(fit['alpha'], '.4g')} (from {fit['points']} points)"
    return f"α {formatted(fit['alpha'], '.4g')} ({formatted(fit['low'], '.4g')} to {formatted(fit['high'], '.4g')})"


def _seconds(steps: Sequence[Mapping[str, Any]]) -> list[tuple[str, float, str]]:
    """Return the steps that took at least 1 % of the time, in order, and the others as one."""
    total = sum(step["seconds"] for step in steps)
    long = [step for step in steps if step["seconds"] >= 0.01 * total]
    rest = total - sum(step["seconds"] for step in long)
    rows = [(step["step"], float(step["seconds"]), duration(step["seconds"])) for step in long]
    return rows + ([("all others", rest, duration(rest))] if rest else [])
