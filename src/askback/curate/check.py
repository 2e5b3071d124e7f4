"""A gate before each round: a judge that cannot tell good pairs from damaged ones stops the run (ours)."""

from askback.config import Check
from askback.curate.combine import combine
from askback.curate.damage import KINDS
from askback.curate.measures import separation
from askback.errors import JudgeTooWeak
from askback.execution.identity import recorded
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.records import Outcome, Probe, Separation, record_id

MEAN = "mean"


@recorded(version=1)
def check(step: Step, options: Check, *, probes: Records, judgements: Records) -> Records:
    """Measure how well the judge, as `select` will use it, tells true pairs from each kind of damage.

    Raises:
        JudgeTooWeak: of the mean over kinds, the lower end of the interval is not above `minimum_auroc`,
            which is above 0; or no pair could be tried.
    """
    found = separations(list(probes), combine(judgements, options.weights), "combined", step.random_seed)
    mean = next((one for one in found if one.kind == MEAN), None)
    if mean is None or 0 < options.minimum_auroc >= mean.low:
        kinds = ", ".join(f"{one.kind} {one.auroc:.2f}" for one in found if one.kind != MEAN)
        said = f"{mean.auroc:.2f} (95 % from {mean.low:.2f} to {mean.high:.2f})" if mean else "not to be had"
        raise JudgeTooWeak(
            f"{judgements.folder}: the judge tells good pairs from damaged ones no better than chance: mean AUROC {said} "
            f"over {mean.pairs if mean else 0} held-out pairs, the lower end must be above {options.minimum_auroc}. By "
            f"kind: {kinds or 'none'}. Add ifd to score.scorers, teach the judge (judge.examples: contrast), give more "
            "held-out pairs, or go on all the same with judge.check: false."
        )
    outcome = Outcome()
    for one in found:
        outcome.keep("kinds", one)
    step.metrics = {"auroc": mean.auroc, "low": mean.low, "high": mean.high}
    return step.write(Separation, [outcome])


def separations(
    probes: list[Probe], scores: dict[str, float | None], scorer: str, random_seed: int
) -> list[Separation]:
    """Return how well the scores tell the true probes from each kind of damage, and the mean of that, kind "mean"."""
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
