"""How many candidates a least score will choose: by known scores, or else by a rule of thumb, which the note names."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from string import digits
from typing import NamedTuple

from askback.curate.choose import ROUNDING, least_score
from askback.curate.combine import combine
from askback.curate.levels import by_highest_level
from askback.curate.scorers import scorer
from askback.execution.forecast import Forecast, ForecastContext
from askback.execution.on_disk import MEASURED
from askback.execution.shards import Records
from askback.recipe import Score, Select, Selection
from askback.records import Judgement

SMALL = 1_000_000_000
"""Parameters below which a model is small."""
SMALL_LEVEL = 3.7
"""Expected level that no pair reached with a small model: the 135M one gave 3.67 at most (docs/results.md)."""
TENTH = 0.1
"""Share assumed where nothing is known; the paper's is 8.3 %, of digits that were sampled."""
FEW = 20
"""Chosen pairs: fewer are nearly nothing."""


class Known(NamedTuple):
    """Scores that a recipe's own scorers gave, and of what."""

    scores: tuple[float, ...]
    of: str


def forecast(options: Select, context: ForecastContext) -> Forecast:
    """Estimate how many candidates one round chooses, with a note where that rests on scores that are not known."""
    candidates, recipe = context.pairs("candidates"), context.file.recipe
    weights = options.weights or dict.fromkeys(recipe.score.scorers, 1.0)
    counting = [name for name in recipe.score.scorers if weights.get(name)]
    known = None
    if least_score(options) is not None:
        known = known_scores(context.pairs("judgements").folder, context.source, recipe.score, options)
    found, note = chosen(options, candidates.count, counting, known, context.base.parameters)
    until = options.until if isinstance(options, Selection) else None
    return Forecast(
        replace(candidates, count=min(found, until or found)), candidates.count, notes=(note,) if note else ()
    )


def known_scores(judged: Path, source: Path | None, options: Score, select: Select) -> Known | None:
    """Return the scores of the last round that was judged with these scorers, here or in `source`, or those measured.

    Args:
        judged: the folder of a step that judges, of whichever round.
    """
    for run in (judged.parent, *([source] if source else [])):
        for step in _rounds(run, judged.name):
            judgements: list[Judgement] = list(Records(step, ""))
            if {one.scorer for one in judgements} == set(options.scorers):
                return Known(_combined(judgements, select), f"{run.name}'s {step.name}")
    measured_in = judged.parent / MEASURED
    measured = json.loads(measured_in.read_text("utf-8")) if measured_in.exists() else {}
    rows = measured.get("scores", [])
    judgements = [Judgement("", id, scorer, score, found, None, [], [], "", "") for scorer, id, score, found in rows]
    if {one.scorer for one in judgements} == set(options.scorers):
        return Known(_combined(judgements, select), "seed pairs with the base model")
    return None


def _rounds(run: Path, step: str) -> list[Path]:
    """Return the folders of a step's finished rounds, whose numbers stand last in their names, the last round first."""
    kind = step.rstrip(digits)
    found = [path.parent for path in run.glob(f"{kind}*/step.json") if path.parent.name.rstrip(digits) == kind]
    return sorted(found, key=lambda path: (len(path.name), path.name), reverse=True)


def _combined(judgements: Sequence[Judgement], select: Select) -> tuple[float, ...]:
    read = judgements if select.min_probability is None else by_highest_level(judgements)
    return tuple(sorted(score for score in combine(read, select.weights).values() if score is not None))


def chosen(options: Select, count: int, scorers: Sequence[str], known: Known | None, size: int) -> tuple[int, str]:
    """Return about how many of `count` candidates one round chooses, and a note on it, "" for none.

    Args:
        scorers: those that count.
        size: parameters of the base model, 0 if they are not known.
    """
    least, most, fraction = least_score(options), options.top_n, options.top_fraction
    assert not isinstance(most, list) and not isinstance(fraction, list)
    name = "min_score" if options.min_score is not None else "min_probability"
    if most is not None:
        return min(most, count), ""
    if fraction is not None or least is None:
        return min(math.ceil((fraction or 1) * count - ROUNDING), count), ""
    if known is not None and known.scores:
        share = sum(score >= least for score in known.scores) / len(known.scores)
        found = round(share * count)
        half, best = _at(known.scores, 0.5), _at(known.scores, 0.9)
        note = (
            f"{share:.1%} of {len(known.scores):,} scores of {known.of} reach it (half are below {half:.2f}, nine in ten "
            f"below {best:.2f}, the highest is {known.scores[-1]:.2f})"
        )
    else:
        share, note = _by_rule(least, () if name == "min_probability" else scorers, size)
        found = round(share * count)
    note = f"select.{name} {least:g}: {note}, so about {found:,} of {count:,} would be chosen"
    if found >= min(FEW, count):
        return found, note if known is None else ""
    advice = f"a run that chooses none stops there; give top_fraction or top_n, or a lower {name}"
    return found, f"{note}: {advice}" + ("" if known else " (plan --measure scores a few pairs)")


def _by_rule(least: float, scorers: Sequence[str], size: int) -> tuple[float, str]:
    """Return the share of candidates that reach a least score, by a rule of thumb, and that rule in words."""
    if len(scorers) > 1:
        # The weighted geometric mean of k independent ranks is above x with the chance that k unit exponentials sum to
        # less than -k ln x.
        most = -len(scorers) * math.log(least) if least > 0 else math.inf
        tail = sum(math.exp(-most) * most**number / math.factorial(number) for number in range(len(scorers)))
        share = 1.0 if math.isinf(most) else 1 - tail
        return share, f"of {len(scorers)} scorers that do not agree, {share:.1%} of the combined ranks reach it"
    if scorers and all(scorer(name).rated for name in scorers) and 0 < size < SMALL and least > SMALL_LEVEL:
        return 0.0, (
            f"an expected level is much stricter than a digit, and of a model of {size / 1e6:,.0f}M parameters is at most "
            f"{SMALL_LEVEL} or so"
        )
    return TENTH, f"no scores are known, and a share of {TENTH:.0%} is assumed to reach it"


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
