"""A gate before each round: a judge that does not separate good pairs from damaged ones stops the run (ours)."""

from askback.curate.combine import combine
from askback.curate.damage import KINDS
from askback.curate.measures import FEWEST, separation
from askback.errors import JudgeTooWeak
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Check
from askback.records import Judgement, Probe, Separation, record_id

MEAN = "mean"
HELD_OUT, SWAPPED = "held-out pairs", "candidates, against their outputs with swapped instructions"
"""What a judge is tried on: pairs that people wrote, true and damaged; or, without any, what it is to judge."""


@recorded(version=3)
def check(step: Step, options: Check, *, probes: Records[Probe], judgements: Records[Judgement]) -> Records[Separation]:
    """Measure how well the combined score, as `select` uses it, separates true pairs from each kind of damage.

    Of several scorers each is measured too, for the report. With fewer than `FEWEST` held-out pairs the run warns and
    goes on. Where there are no seed pairs, the probes are of candidates (swap.py), and every message says so.

    Raises:
        JudgeTooWeak: the lower end of the interval of the mean AUROC over kinds is not above `minimum_auroc`, which is
            above 0.
    """
    tried = list(probes)
    found = separations(tried, combine(judgements, options.weights), "combined", step.random_seed)
    found = found or [Separation(record_id("combined", MEAN), "combined", MEAN, 0, 0.5, 0.0, 1.0)]
    mean = next(one for one in found if one.kind == MEAN)
    of_people = any(probe.kind == "scrambled" for probe in tried)
    what = HELD_OUT if of_people else SWAPPED
    figures = f"mean AUROC {mean.auroc:.2f} (95 % from {mean.low:.2f} to {mean.high:.2f}) over {mean.pairs} {what}"
    if (pairs := sum(probe.kind == "true" for probe in tried)) < FEWEST:
        step.progress.say(f"{step.name}: too few {what} to check the judge ({pairs}, at least {FEWEST}); going on")
    elif 0 < options.minimum_auroc >= mean.low:
        advice = _teaching({one.scorer for one in judgements}) if of_people else ANOTHER_JUDGE
        raise JudgeTooWeak(_too_weak(step.name, figures, options, found, advice))
    step.progress.say(f"{step.name}: {figures}")
    outcome = Outcome[Separation]()
    for one in [*found, *_each(tried, list(judgements), step.random_seed)]:
        outcome.keep("kinds", one)
    step.metrics = {"auroc": mean.auroc, "low": mean.low, "high": mean.high}
    return step.write(Separation, [outcome])


def _each(probes: list[Probe], judgements: list[Judgement], random_seed: int) -> list[Separation]:
    """Return the separations of each scorer, where there are several."""
    names = list(dict.fromkeys(one.scorer for one in judgements))
    columns = {name: {one.candidate_id: one.score for one in judgements if one.scorer == name} for name in names}
    several = columns if len(columns) > 1 else {}
    return [one for name, scores in several.items() for one in separations(probes, scores, name, random_seed)]


ANOTHER_JUDGE = (
    "give a stronger judge (engines.score), let it reason first (score.reasoning: true), or have it tried on pairs that "
    "people wrote (seed)"
)
"""Advice where no model is trained."""


def _teaching(scorers: set[str]) -> str:
    ifd = "" if "ifd" in scorers else "add ifd to score.scorers (--redo probe-1, and --redo score-1 if that is made), "
    return (
        f"{ifd}teach the judge, or more (judge.examples: contrast, judge.pairs; --redo teach, or --redo m0 if it was not "
        "taught), give more held-out pairs (--redo seed)"
    )


def _too_weak(name: str, figures: str, options: Check, found: list[Separation], advice: str) -> str:
    kinds = ", ".join(f"{one.kind} {one.auroc:.2f}" for one in found if one.kind != MEAN)
    return (
        f"{name}: the judge does not separate good pairs from damaged ones well enough: {figures}; the lower end must be "
        f"above judge.minimum_auroc {options.minimum_auroc}. By kind: {kinds or 'none'}. Now {advice}, or go on all the "
        "same with judge.check: false."
    )


def separations(
    probes: list[Probe], scores: dict[str, float | None], scorer: str, random_seed: int
) -> list[Separation]:
    """Return how well the scores separate the true probes from each kind of damage; kind "mean" is the mean of these."""
    by_kind: dict[str, dict[str, float]] = {}
    for probe in probes:
        score = scores.get(probe.id)
        if score is not None and (probe.kind == "true" or probe.kind in KINDS):
            by_kind.setdefault(probe.kind, {})[probe.pair_id] = score
    good = by_kind.pop("true", {})
    if not good or not by_kind:
        return []
    return [
        Separation(record_id(scorer, kind), scorer, kind, len(by_kind.get(kind, good)), value, low, high)
        for kind, (value, low, high) in separation(good, by_kind, random_seed).items()
    ]
