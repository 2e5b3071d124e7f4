"""The tables of a run, of its evaluation, study and calibration, and of several runs side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from askback.curate.check import MEAN
from askback.execution.progress import duration
from askback.report import compare
from askback.report.axes import formatted
from askback.report.gather import View
from askback.report.pictures import best_scorer
from askback.report.table import Table
from askback.studies import sides
from askback.studies.comparisons import measured

MOST_SHARES = 5
"""Number of languages, sources and licences in a table; all are in ``evaluate/summary.json``."""
WORTH_LABELLING = 0.02
"""Gain in AUROC for which it is worth labelling as much again."""


def of_run(view: View) -> dict[str, list[Table]]:
    """Return the tables of a run by section of its page, without those that would be empty."""
    evaluation = view.evaluation
    found = {
        "helped": [losses(view.losses, everything=True), *answers(evaluation), *study(view.study)],
        "judge": [_spreads(view), _agreement(view)],
        "data": [_lengths(view), _styles(view), _diversity(view), _copies(evaluation), _shares(evaluation)],
        "cost": [_cost(view)],
        **{f"calibration {number}": [*thresholds(one), habits(one)] for number, one in enumerate(view.calibrations)},
    }
    return {place: [table for table in tables if table.rows] for place, tables in found.items()}


def of_all(views: Sequence[View]) -> dict[str, list[Table]]:
    """Return the results of each run, and the differences of their recipes."""
    names = [view.name for view in views]
    facts, options = compare.beside(views), compare.differences(views)
    return {
        "facts": [Table("", ["", *names], [[name, *cells] for name, cells in facts.items()], compare.repeated(views))],
        "options": [
            Table(
                "",
                ["option", *names],
                [[name, *cells] for name, cells in options.items()],
                align="l" * (1 + len(names)),
            )
        ],
    }


def percent(share: float, digits: int = 0) -> str:
    """Return a share in percent."""
    return f"{100 * share:.{digits}f} %"


def losses(found: sides.Measured, everything: bool = False, told: bool = False) -> Table:
    """Return the table of every model's loss on each set of pairs (`sides.table`, `sides.notes`)."""
    heads, rows = sides.table(found, everything)
    return Table(sides.TITLE, heads, rows, sides.notes(found, told), align="ll")


def answers(evaluation: Mapping[str, Any]) -> list[Table]:
    """Return the tables of an evaluation of the models' answers."""
    return [_win_rates(evaluation), _references(evaluation), _similarities(evaluation), _benchmarks(evaluation)]


def _win_rates(evaluation: Mapping[str, Any]) -> Table:
    rows = []
    for row in evaluation.get("win_rates", {}).values():
        total, controlled, first = row["total"], row["length_controlled"], row["first_preferred"]
        rows.append(
            [
                f"{row['model']} : {row['baseline']}",
                row["prompts"],
                row["judge"],
                _give_or_take(total),
                _give_or_take(controlled) if controlled else "",
                f"{total['wins']} / {total['ties']} / {total['losses']}",
                f"{total['unscored']} of {total['prompts']}",
                "" if first is None else f"{first:.0f} %",
                f"{row['model_chars']:,.0f} : {row['baseline_chars']:,.0f}",
            ]
        )
    notes = [
        f"{row['model']} : {row['baseline']}, {row['prompts']}: {caution}."
        for row in evaluation.get("win_rates", {}).values()
        for caution in row["cautions"]
    ]
    heads = ["models", "prompts", "judge", "win rate %", "length-controlled %", "won / tied / lost", "unscored"]
    return Table("Win rates ± one standard error", [*heads, "prefers the first seen", "characters"], rows, notes, "lll")


def _give_or_take(found: Mapping[str, Any]) -> str:
    return f"{found['win_rate']:.1f} ± {found['standard_error']:.1f}"


def _references(evaluation: Mapping[str, Any]) -> Table:
    rows = [
        [row["model"], row["prompts"], f"{row['answers']:,}", *(f"{row[name]:.3f}" for name in _ROUGE)]
        for row in evaluation.get("references", {}).values()
    ]
    title = "Against reference answers (weak evidence: a good answer may share few words with one)"
    return Table(title, ["model", "prompts", "answers", "precision", "recall", "ROUGE-L"], rows, align="ll")


_ROUGE = ("precision", "recall", "rouge_l")


def _similarities(evaluation: Mapping[str, Any]) -> Table:
    rows = []
    for row in evaluation.get("similarities", {}).values():
        error, unrelated = row["standard_error"], row["unrelated"]
        value = f"{row['similarity']:.3f}" + ("" if error is None else f" ± {error:.3f}")
        names = [row["model"], row["prompts"], row["embedder"], f"{row['answers']:,}"]
        rows.append([*names, value, "" if unrelated is None else f"{unrelated:.3f}"])
    title = "Nearness to reference answers in meaning, cosine (weak evidence: it does not tell right from wrong)"
    heads = ["model", "prompts", "embedder", "answers", "similarity", "to another's reference"]
    return Table(title, heads, rows, align="lll")


def _benchmarks(evaluation: Mapping[str, Any]) -> Table:
    rows = []
    for row in evaluation.get("benchmarks", {}).values():
        for task, scores in row["tasks"].items():
            for name, value in scores.items():
                metric, comma, filtered = name.partition(",")
                if not metric.endswith("_stderr"):
                    error = scores.get(f"{metric}_stderr{comma}{filtered}")
                    rows.append([row["model"], task, name, f"{value:.4f}" + (f" ± {error:.4f}" if error else "")])
    return Table("Benchmarks (lm-eval) ± one standard error", ["model", "task", "metric", "value"], rows, align="lll")


def study(found: Mapping[str, Any]) -> list[Table]:
    """Return the tables of a study: what was trained and measured, its comparisons with the claims, its fits."""
    if not found:
        return []
    measures = list(dict.fromkeys(measure for point in found["points"] for measure in measured(point)))
    rows = []
    for point in found["points"]:
        shown = ["" if point.get(measure) is None else f"{point[measure]:.4f}" for measure in measures]
        rows.append([point["set"], f"{point['size']:,}" if point["size"] else "", *shown])
    seeds = found["trainings"]
    means = f"Means of {seeds} trainings with other random seeds; losses in nats per token, under each pair's own tag"
    points = Table(
        "Study: what was trained", ["set", "examples", *measures], rows, [means if seeds > 1 else "One training"]
    )
    return [points, _contrasts(found), *_fits(found)]


def _contrasts(found: Mapping[str, Any]) -> Table:
    rows = []
    for row in found["contrasts"]:
        apart = sides.interval(row) if row["low"] is not None else formatted(row["difference"], "+.4f")
        spread, detectable = (
            "" if row[name] is None else f"{row[name]:.4f}" for name in ("between_trainings", "detectable")
        )
        sets = f"{row['set']} − {row['against']}, N = {row['size']:,}"
        rows.append([sets, row["measure"], apart, spread, detectable, row["verdict"]])
    heads = ["sets", "on", "difference", "SD of trainings", "told apart at 80 %", "the claim is"]
    holds = "trainings and of pairs" if found["trainings"] > 1 else "pairs alone, as each set was trained once"
    level = found["contrasts"][0]["level"] if found["contrasts"] else 0
    notes = [
        f"Intervals hold the chance of {holds}, each at {percent(level, 2)}, so that all hold together at 95 %.",
        *filter(None, [found["conclusion"], *found["claims"]]),
    ]
    return Table(
        "Study: comparisons named beforehand, nats per token (below 0: the first is better)", heads, rows, notes
    )


def _fits(found: Mapping[str, Any]) -> Iterator[Table]:
    for measure, fitted in found["fits"].items():
        rows = []
        for name, fit in fitted.items():
            apart = "too few sizes"
            if fit["low"] is not None:
                apart = f"{formatted(fit['low'], '+.4f')} to {formatted(fit['high'], '+.4f')}"
            rows.append([name, str(fit["points"]), formatted(fit["alpha"], "+.4f"), apart, f"{fit['constant']:.4f}"])
        yield Table(f"Study: {measure} = α ln N + C", ["set", "sizes", "α", "95 % interval", "C"], rows)


def _spreads(view: View) -> Table:
    rows = [
        [
            f"{one.scorer}, round {t}",
            f"{one.scored:,}",
            f"{one.unscored:,}",
            *(f"{value:.3f}" for value in (one.mean, one.low, one.median, one.high, one.highest)),
            *("" if share is None else percent(share) for share in (one.sampled, one.likely)),
        ]
        for t, one in view.spreads
    ]
    heads = ["scorer", "scored", "unscored", "mean", "a tenth is below", "median", "a tenth is above", "highest"]
    heads += ["a sampled digit is the highest level", "P(highest level) ≥ 0.5"]
    return Table("Scores", heads, rows)


def _agreement(view: View) -> Table:
    rows = [
        [
            f"{one.round - 1} to {one.round}",
            f"{one.chosen:,}",
            percent(one.shared),
            f"{one.came:,}",
            f"{one.left:,}",
            f"{one.jaccard:.2f}",
            "none" if one.rank_correlation is None else f"{one.rank_correlation:.2f}",
        ]
        for one in view.movements
    ]
    heads = ["rounds", "chosen", "chosen before too", "came", "left", "Jaccard", "rank correlation of scores"]
    return Table("Agreement of the selections", heads, rows)


def aurocs(metrics: Mapping[str, Any]) -> Table:
    """Return how well each scorer of a calibration separates good pairs from bad ones, by kind of damage and by ratings."""
    scorers, taught = metrics["scorers"], set(metrics["taught"])
    kinds = dict.fromkeys(kind for own in scorers.values() for kind in own["auroc"])
    rows = []
    for kind in sorted(kinds, key=lambda kind: kind == MEAN):
        label = f"{kind} (not taught)" if taught and kind not in (*taught, MEAN) else kind
        rows.append([label, *(_estimate(own["auroc"].get(kind)) for own in scorers.values())])
    if any("labels" in own for own in scorers.values()):
        for key, title in (("auroc", "rated good"), ("spearman", "Spearman"), ("kendall", "Kendall")):
            rows.append([title, *(_estimate(own.get("labels", {}).get(key)) for own in scorers.values())])
    if any("comparisons" in own for own in scorers.values()):
        for key, title in (("agreement", "preferred scores higher"), ("length", "preferred is longer")):
            rows.append([title, *(_estimate(own.get("comparisons", {}).get(key)) for own in scorers.values())])
    title = "AUROC: how often a true pair scores above a damaged one (95 % interval; 0.5 is chance)"
    return Table(title, ["kind", *scorers], rows)


def thresholds(metrics: Mapping[str, Any]) -> list[Table]:
    """Return precision and recall of the best scorer's thresholds, on true and damaged pairs and on rated ones."""
    name = best_scorer(metrics)
    own = metrics["scorers"][name]
    found = {f"Thresholds of {name}: true pairs among true and damaged ones": own["thresholds"]}
    if "labels" in own:
        found[f"Thresholds of {name}: pairs rated {own['labels']['good_from']:g} or better"] = own["labels"][
            "thresholds"
        ]
    return [
        Table(
            title,
            ["threshold", "taken", "precision (95 %)", "recall (95 %)"],
            [
                [
                    f"{row['threshold']:.3f}",
                    percent(row["chosen"]),
                    _estimate(row["precision"]),
                    _estimate(row["recall"]),
                ]
                for row in rows
            ],
        )
        for title, rows in found.items()
    ]


def habits(metrics: Mapping[str, Any]) -> Table:
    """Return further figures of each scorer: share unscored, correlation with length, time, and distribution of digits."""
    rows = []
    for name, own in metrics["scorers"].items():
        length, seconds, digits = own["length"], own.get("seconds_per_1000"), own.get("digits", {})
        rows.append(
            [
                name,
                percent(own["unscored"], 1),
                "" if length is None else formatted(length, "+.2f"),
                "" if seconds is None else f"{seconds:,.0f}",
                *(" ".join(f"{share:.2f}" for share in digits.get(kind, [])) for kind in ("true", "scrambled")),
            ]
        )
    heads = ["scorer", "unscored", "correlation with length", "seconds per 1,000 pairs"]
    return Table("Habits", [*heads, "digits, true pairs", "digits, scrambled words"], rows)


def learning(metrics: Mapping[str, Any]) -> Table:
    """Return how well the scorer `probe` tells what people keep, by the number of labels that teach it."""
    curve = metrics.get("curve") or []
    keys = ("auroc_at_equal_length", "auroc", "length_alone_at_equal_length", "length_alone")
    rows = [[f"{row['labels']:,}", *("" if row[key] is None else f"{row[key]:.2f}" for key in keys)] for row in curve]
    heads = ["labels that teach", "AUROC at equal length", "at all lengths"]
    alone = ["of length alone, at equal length", "of length alone, at all lengths"]
    pairs = curve[0]["pairs"] if curve else 0
    title = f"What labels teach the scorer probe, tried on {pairs:,} others"
    return Table(title, [*heads, *alone], rows, [_more_labels(curve[-1])] if curve else [])


def _more_labels(most: Mapping[str, Any]) -> str:
    """Return in words what more labels would bring, as far as the last doubling of their number tells."""
    gain, low, high = most["gained"]
    gained = (
        f"from {most['half']:,} to {most['labels']:,} labels the AUROC at equal length changed by "
        f"{gain:+.2f} ({low:+.2f} to {high:+.2f})"
    )
    if low > 0:
        return f"More labels are likely to help: {gained}."
    if high < WORTH_LABELLING:
        return f"Twice as many labels would bring little, less than {WORTH_LABELLING}: {gained}."
    return f"Whether more labels would help cannot be told yet: {gained}."


def _estimate(found: Sequence[float] | float | None) -> str:
    """Return a value in words, with its interval if it has one."""
    if found is None:
        return ""
    if isinstance(found, float):
        return formatted(found, "+.2f")
    value, low, high, *_ = found
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def _lengths(view: View) -> Table:
    rows = [
        [
            row.name,
            f"{row.pairs:,}",
            f"{row.instruction_mean:,.0f} ± {row.instruction_sd:,.0f}",
            f"{row.output_mean:,.0f} ± {row.output_sd:,.0f}",
        ]
        for row in view.lengths
    ]
    return Table("Lengths in characters, mean ± standard deviation", ["set", "pairs", "instruction", "output"], rows)


def _styles(view: View) -> Table:
    rows = [
        [style, f"{asked:,}", f"{chosen:,}", percent(chosen / asked)] for style, (asked, chosen) in view.styles.items()
    ]
    return Table("Styles that were asked for", ["style", "candidates", "chosen", "share"], rows)


def _diversity(view: View) -> Table:
    rows = [
        [name, f"{asked.looked_at:,}", percent(asked.coverage), f"{asked.distinct:,}", asked.by]
        for name, asked in view.diversity.items()
    ]
    heads = ["set", "instructions", "found in (coverage)", "different pairs", "found by"]
    return Table("Verb and noun that instructions ask with; questions have none", heads, rows, align="lrrrl")


def _copies(evaluation: Mapping[str, Any]) -> Table:
    rows = [
        [
            name,
            f"{row['pairs']:,}",
            percent(row["near_copies"], 1),
            f"{row['evaluation_prompts']:,}" if "evaluation_prompts" in row else "not looked for",
        ]
        for name, row in evaluation.get("data", {}).items()
    ]
    return Table("Near-copies", ["set", "pairs", "near-copies", "with an evaluation prompt"], rows)


def _shares(evaluation: Mapping[str, Any]) -> Table:
    rows = [
        [name, *(_commonest(row[what]) for what in ("language", "licence", "source"))]
        for name, row in evaluation.get("data", {}).items()
    ]
    return Table("Where the pairs come from", ["set", "language", "licence", "source"], rows, align="llll")


def _commonest(shares: Mapping[str, float]) -> str:
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{value} {percent(share)}" for value, share in ordered[:MOST_SHARES])


def _cost(view: View) -> Table:
    rows = [_of_step(step) for step in view.steps]
    seconds = sum(step["seconds"] for step in view.steps)
    tokens = sum(step["tokens"] for step in view.steps)
    usd = sum(step.get("usd", 0.0) for step in view.steps)
    total = ["total", "", "", duration(seconds), "", f"{tokens:,}" if tokens else "", ""]
    heads = ["step", "records in", "kept", "time", "records/s", "tokens", "tokens/s"]
    if usd:
        heads, total = [*heads, "USD"], [*total, f"{usd:,.2f}"]
        rows = [[*row, f"{step.get('usd', 0.0):,.2f}"] for row, step in zip(rows, view.steps, strict=True)]
    return Table("", heads, [*rows, total] if rows else [], total=True)


def _of_step(step: Mapping[str, Any]) -> list[str]:
    counts, seconds, tokens = list(step["counts"].values()), step["seconds"], step["tokens"]
    entered = counts[0]["entered"] if counts else 0
    return [
        step["step"],
        f"{entered:,}",
        f"{counts[-1]['kept']:,}" if counts else "",
        duration(seconds),
        f"{entered / seconds:,.1f}" if seconds else "",
        f"{tokens:,}" if tokens else "",
        f"{tokens / seconds:,.0f}" if tokens and seconds else "",
    ]
