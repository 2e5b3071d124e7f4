"""What a study shows: means over trainings, comparisons that are named beforehand, claims in words, fits."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from askback.errors import RecipeError
from askback.evaluate.fit import Fit, fit_log
from askback.evaluate.repeated import Repeated, repeated_difference
from askback.records import Loss
from askback.studies.sets import BESIDE, M0, file_of
from askback.studies.sides import DOCUMENTS

WIN_RATE = "win rate against M_0"
"""What a judge measures, beside the losses, which are called as their pairs are."""
CONFIDENCE = 0.95
UNDECIDED = "not told apart"


class Arm(NamedTuple):
    """A set cut to a size, 0 of M_0, which has the seed alone."""

    set: str
    size: int

    @property
    def label(self) -> str:
        """The set's name, without a file's folder and format."""
        beside = BESIDE if self.set.startswith(BESIDE) else ""
        return beside + file_of(self.set.removeprefix(BESIDE))[1].name

    @property
    def beside(self) -> bool:
        """Whether the whole seed is trained on too."""
        return self.set == M0 or self.set.startswith(BESIDE)

    @property
    def stem(self) -> str:
        """A name for its steps."""
        return f"{Path(self.label).stem}-{self.size}" if self.size else self.set


@dataclass(frozen=True)
class Result:
    """What is known of one trained model: its losses by what it is measured on, and its win rate, {} without a judge."""

    losses: dict[str, list[Loss]]
    won: dict[str, float | None]


class Claim(NamedTuple):
    """A comparison of two sets of one size, and what it tells; `worse`: that the first does worse is the claim."""

    set: str
    against: str
    words: str
    worse: bool = False


CLAIMS = (
    Claim("seed+curated", M0, "The chosen pairs beside the seed help"),
    Claim("seed+curated", "seed+random", "Choosing helps: the chosen pairs help more than as many of like length"),
    Claim("seed+curated", "seed+swapped", "The instructions are learnt from, and not the text alone"),
    Claim("seed+curated", "seed+uncurated", "The chosen pairs help more than as many candidates"),
    Claim("curated", "uncurated", "By themselves, the chosen pairs teach more than as many candidates"),
    Claim("curated", "seed", "By themselves, the chosen pairs teach less than as many seed pairs", worse=True),
    Claim("seed+A_5", "seed+A_4", "A higher threshold helps"),
    Claim("seed+round-2", "seed+round-1", "M_1 chooses better than M_0"),
)
"""The comparisons that are made where both sets are in a study: of the paper (method.md 1.9), and our controls."""


def summary(
    results: Sequence[Mapping[Arm, Result]], wanted: Sequence[tuple[str, str]] = (), judge: str = ""
) -> dict[str, Any]:
    """Return the figures of a study: points (an arm's mean over its trainings), comparisons, claims in words, and fits.

    Args:
        results: of each training seed, by arm.
        wanted: (set, against) of each comparison, in place of CLAIMS.
        judge: of the win rate.
    """
    arms = list(results[0])
    measures = list(dict.fromkeys(measure for arm in arms for measure in results[0][arm].losses))
    points = [_point(arm, [one[arm] for one in results]) for arm in arms]
    named = comparisons(arms, wanted)
    contrasts = _contrasts(named, measures, results)
    return {
        "trainings": len(results),
        "points": points,
        "contrasts": contrasts,
        "conclusion": conclusion(contrasts),
        "claims": [_words(claim, max(arm.size, other.size), contrasts) for claim, arm, other in named],
        "base_of_the_logarithm": "e",
        "fits": fits(points),
        "judge": judge,
    }


def _point(arm: Arm, trained: Sequence[Result]) -> dict[str, Any]:
    losses = {measure: [per_token(one.losses[measure]) for one in trained] for measure in trained[0].losses}
    rates: dict[str, list[float]] = {}
    for kind, rate in ((kind, rate) for one in trained for kind, rate in one.won.items()):
        if rate is not None:
            rates.setdefault(kind, []).append(rate)
    means = {measure: fmean(values) for measure, values in (losses | rates).items()}
    return {"set": arm.label, "size": arm.size, **means, "by_training": losses}


def per_token(losses: Sequence[Loss]) -> float:
    """Return the loss in nats per token."""
    return sum(loss.nats for loss in losses) / sum(loss.tokens for loss in losses)


def comparisons(arms: Sequence[Arm], wanted: Sequence[tuple[str, str]]) -> list[tuple[Claim, Arm, Arm]]:
    """Return the comparisons of a study with their two arms, of one size but for M_0.

    Raises:
        RecipeError: one that is wanted names a set that the study does not have, or two sets that have no size in common.
    """
    claims = [Claim(*pair, f"{pair[0]} is better than {pair[1]}") for pair in wanted] or CLAIMS
    known = {arm.set for arm in arms}
    for claim in claims if wanted else ():
        if missing := {claim.set, claim.against} - known:
            raise RecipeError(
                f"--contrasts: {', '.join(sorted(missing))} is none of the study's sets: {', '.join(known)}"
            )
    found = [
        (claim, arm, other)
        for claim in claims
        for arm in arms
        for other in arms
        if (arm.set, other.set) == (claim.set, claim.against)
        and (arm.size == other.size or 0 in (arm.size, other.size))
    ]
    compared = {claim for claim, _, _ in found}
    if wanted and (silent := next((claim for claim in claims if claim not in compared), None)):
        raise RecipeError(f"--contrasts {silent.set}:{silent.against}: the two sets have no size in common")
    return found


def _contrasts(
    named: Sequence[tuple[Claim, Arm, Arm]], measures: Sequence[str], results: Sequence[Mapping[Arm, Result]]
) -> list[dict[str, Any]]:
    """Return every comparison on everything measured, at a level at which all intervals hold together (Bonferroni)."""
    level = 1 - (1 - CONFIDENCE) / max(1, len(named) * len(measures))
    rows = []
    for claim, arm, other in named:
        for measure in measures:
            ours, theirs = ([one[which].losses[measure] for one in results] for which in (arm, other))
            found = repeated_difference(theirs, ours, level)
            size = max(arm.size, other.size)
            row = {"set": arm.label, "against": other.label, "size": size, "measure": measure, "level": level}
            rows.append(row | finite(found) | {"verdict": verdict(found, claim.worse)})
    return rows


def finite(found: Repeated) -> dict[str, Any]:
    """Return the fields of a comparison as JSON has them: None for what is infinite."""
    return {
        name: None if value is not None and not math.isfinite(value) else value
        for name, value in found._asdict().items()
    }


def verdict(found: Repeated, worse: bool) -> str:
    """Return what a comparison says of a claim."""
    low, high = (-found.high, -found.low) if worse else (found.low, found.high)
    return "supported" if high < 0 else "contradicted" if low > 0 else UNDECIDED


def _words(claim: Claim, size: int, contrasts: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentence that says what a claim comes to, on everything measured."""
    sets = Arm(claim.set, 0).label, Arm(claim.against, 0).label, size
    found = []
    for row in contrasts:
        if (row["set"], row["against"], row["size"]) == sets:
            power = ""
            if row["verdict"] == UNDECIDED and row["detectable"] is not None:
                power = f" ({row['detectable']:.4f} would be, four times in five)"
            found.append(f"{row['verdict']} on {row['measure']}{power}")
    return f"{claim.words} (N = {size:,}): {'; '.join(found)}."


def conclusion(contrasts: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentence that a study comes to: what the chosen pairs teach on text like the user's, "" if not compared.

    "Learnt to answer" is said only where the same texts with swapped instructions teach less.
    """
    largest = max((row["size"] for row in contrasts), default=0)
    found = {
        row["against"]: row["verdict"]
        for row in contrasts
        if (row["set"], row["size"], row["measure"]) == ("seed+curated", largest, DOCUMENTS)
    }
    if M0 not in found:
        return ""
    if found[M0] != "supported":
        return f"Better on text like yours: {found[M0]}."
    if found.get("seed+swapped") == "supported":
        return "Better on text like yours, and learnt to answer: the same texts with swapped instructions teach less."
    return "Better on text like yours. That it learnt to answer is not shown: it may be the text alone that is learnt."


def fits(points: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, per measure and set, the fit of w = alpha ln N + C; sets of one size have none."""
    measures = dict.fromkeys(measure for point in points for measure in measured(point))
    return {measure: {name: asdict(fit) for name, fit in _fits(points, measure).items()} for measure in measures}


def measured(point: Mapping[str, Any]) -> list[str]:
    """Return what the models of a point were measured on, the win rate last."""
    return [*point["by_training"], *([WIN_RATE] if point.get(WIN_RATE) is not None else [])]


def _fits(points: Sequence[Mapping[str, Any]], measure: str) -> dict[str, Fit]:
    rows: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point.get(measure) is not None and point["size"]:
            rows.setdefault(point["set"], []).append((point["size"], point[measure]))
    return {name: fit_log(*zip(*row, strict=True)) for name, row in rows.items() if len({size for size, _ in row}) > 1}
