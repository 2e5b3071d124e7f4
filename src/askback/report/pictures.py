"""The plots of a run, or of several side by side: view → pictures by their place on the page."""

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
from askback.report.gather import DOCUMENTS, HELD_OUT, View

NATS = "nats per token (less is better)"
APART = "nats per token (below 0 is better)"
AUROC = "AUROC (dashed: 0.5, chance)"
SIZES = "examples N (logarithmic)"
MEASURES = {"loss": "held-out loss, nats per token", "win_rate": "win rate against M_0, %"}

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
        **{f"scaling {measure}": _scaling(view.scaling, measure) for measure in MEASURES},
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
    tables = {name: view.losses[HELD_OUT] for name, view in views.items()}
    losses = {
        name: [(model, row["loss"], None, None) for model, row in table.items()] for name, table in tables.items()
    }
    if len(views) == 1:
        tables = {f"on {side}": table for (view,) in [views.values()] for side, table in _sides(view)}
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


def _sides(view: View) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """Return the losses of a run on pairs of either side."""
    sides = {"held-out seed pairs": HELD_OUT, "pairs of documents": DOCUMENTS}
    return [(name, view.losses[side]) for name, side in sides.items() if side in view.losses]


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


def _scaling(found: Mapping[str, Any], measure: str) -> str:
    points, fits = _points(found, measure)
    lines = {name: (fit["alpha"], fit["constant"]) for name, fit in fits.items()}
    return plots.curves(_title(measure), points, lines, SIZES, MEASURES[measure])


def write_curves(folder: Path, found: Mapping[str, Any]) -> list[Path]:
    """Write the curves of a scaling run into its folder, an SVG file for each measure; return the files.

    Args:
        found: what is in its ``summary.json``.
    """
    files = []
    for measure in MEASURES:
        points, fits = _points(found, measure)
        lines = {name: (fit["alpha"], fit["constant"]) for name, fit in fits.items()}
        names = [f"{name}, {_alpha(fits[name])}" if name in fits else name for name in points]
        if picture := plots.curves_file(_title(measure), points, lines, SIZES, MEASURES[measure], names):
            files.append(folder / f"{measure}.svg")
            with atomic(files[-1]) as temporary:
                temporary.write_text(picture, "utf-8")
    return files


def _title(measure: str) -> str:
    return f"Scaling: {MEASURES[measure].partition(',')[0]}"


def _points(found: Mapping[str, Any], measure: str) -> tuple[plots.Points, Mapping[str, Any]]:
    """Return the values of each set with half the width of their intervals, and the sets' fits."""
    points: dict[str, list[tuple[int, float, float]]] = {}
    for point in found.get("points", []):
        if point.get(measure) is not None:
            error = Z95 * point.get("standard_error", 0.0) if measure == "win_rate" else 0.0
            points.setdefault(point["set"], []).append((point["size"], point[measure], error))
    return points, found.get("fits", {}).get(measure, {})


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
