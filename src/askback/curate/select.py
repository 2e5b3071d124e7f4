"""Self-curation, second half: choose the candidates to train on, without a model, in seconds (method.md 1.7)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from askback.curate.agreement import agreement
from askback.curate.choose import choose, least_score, quality_bins, scored
from askback.curate.combine import combine
from askback.curate.levels import by_highest_level
from askback.curate.thresholds import forecast
from askback.errors import EmptyStep, InputError
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Select
from askback.records import UNSCORED, Candidate, Example, Judgement, fail, reject

STAGE = "candidates"


Before = tuple[()] | tuple[Records[Judgement], Records[Example]]
"""The judgements and chosen examples of the round before; () for the first round."""


@recorded(version=7, forecast=forecast)
def select(
    step: Step, options: Select, *, candidates: Records[Candidate], judgements: Records[Judgement], before: Before = ()
) -> Records[Example]:
    """Keep the candidates that `options` chooses, as examples; the others are rejected with their rule and score.

    First, candidates without a score fail ("unscored"), and those whose instruction does not help are dropped
    ("not-helped"); then come the rules of `choose`. In `step.json`, metrics: `agreement` with the round before.

    Args:
        options: options of one round (`Select.of_round`).

    Raises:
        EmptyStep: no candidate is chosen; the message describes the scores.
        InputError: more than `max_unscored` of the candidates have no score, or fewer than `bins` are kept.
    """
    scores = _scores(judgements, options)
    why = reasons_of(judgements)
    _check_unscored(judgements, scores, why, options.max_unscored)
    reasons = unhelpful(judgements) if options.drop_unhelpful else {}
    eligible = [
        scored(candidate, score)
        for candidate in candidates
        if (score := scores[candidate.id]) is not None and candidate.id not in reasons
    ]
    reasons |= choose(eligible, options, len(scores))
    kept = {one.id: one.score for one in eligible if one.id not in reasons}
    if options.bins and 0 < len(kept) < options.bins:
        raise InputError(
            f"{candidates.folder}: {len(kept)} candidates are too few for the {options.bins} of select.bins; give more "
            "documents, or fewer bins"
        )
    qualities = quality_bins(kept, options.bins) if options.bins else {}
    outcome = Outcome[Example]()
    for candidate in candidates:
        score, uri = scores[candidate.id], candidate.provenance.uri
        if score is None:
            detail = why.get(candidate.id, "")
            outcome.drop(fail(candidate.id, STAGE, "unscored", detail, uri=uri, text=candidate.instruction))
        elif candidate.id in reasons:
            rule, detail = reasons[candidate.id]
            outcome.drop(reject(candidate.id, STAGE, rule, detail, uri=uri, text=candidate.instruction))
        else:
            outcome.keep(STAGE, _example(candidate, score, qualities.get(candidate.id, "")))
    if not kept:
        raise EmptyStep(
            f"{step.folder}: {none_chosen([one.score for one in eligible], options, Counter(outcome.reasons))}"
        )
    if before:
        earlier, chosen_before = before
        chosen = {example.id for example in chosen_before}
        step.metrics["agreement"] = agreement(_scores(earlier, options), scores, chosen, kept)
    return step.write(Example, [outcome])


def _check_unscored(
    judgements: Records[Judgement], scores: Mapping[str, float | None], why: Mapping[str, str], allowed: float
) -> None:
    unscored = sum(score is None for score in scores.values())
    if unscored > allowed * len(scores):
        often, count = Counter(why.values()).most_common(1)[0] if why else ("not stated", unscored)
        raise InputError(
            f"{judgements.folder}: {unscored:,} of {len(scores):,} candidates have no score, more than the share of "
            f"{allowed} that select.max_unscored allows. The reason of {count:,} of them: {often}. All are in the raw "
            "judgements there."
        )


def reasons_of(judgements: Iterable[Judgement]) -> dict[str, str]:
    """Return candidate id → why it has no score, from the first scorer that gives none."""
    found: dict[str, str] = {}
    for judgement in judgements:
        reasons = [text.removeprefix(UNSCORED) for text in judgement.raw if text.startswith(UNSCORED)]
        if judgement.score is None and reasons:
            found.setdefault(judgement.candidate_id, f"{judgement.scorer}: {reasons[0]}")
    return found


def _scores(judgements: Iterable[Judgement], options: Select) -> dict[str, float | None]:
    """Return candidate id → the score that `options` uses."""
    read = judgements if options.min_probability is None else by_highest_level(judgements)
    return combine(read, options.weights)


WOULD_CHOOSE = (0.5, 0.2, 0.1, 0.05)
"""Shares of the candidates whose thresholds an error names where the recipe's threshold chooses none."""


def none_chosen(scores: Sequence[float], options: Select, reasons: Counter[str]) -> str:
    """Return the message that no candidate is chosen: the rules, the spread of scores, what other thresholds choose."""
    why = (
        ", ".join(f"{reason.partition('/')[2]} {count:,}" for reason, count in reasons.most_common()) or "none came in"
    )
    message = f"none of {sum(reasons.values()):,} candidates is chosen ({why})"
    name = "min_score" if options.min_score is not None else "min_probability"
    if not scores or least_score(options) is None:
        return f"{message}. Read the judgements, and change score or select"
    ordered = sorted(scores)
    would = [
        f"{at:.2f} would choose {sum(score >= at for score in ordered):,}"
        for share in WOULD_CHOOSE
        if (at := ordered[min(len(ordered) - 1, int((1 - share) * len(ordered)))])
    ]
    return (
        f"{message}: select.{name} is {least_score(options)}, and the scores go from {ordered[0]:.2f} to "
        f"{ordered[-1]:.2f}, half of them below {ordered[len(ordered) // 2]:.2f}. {', '.join(dict.fromkeys(would))}. Give "
        f"a lower {name}, or top_fraction or top_n; nothing else is made again"
    )


def unhelpful(judgements: Iterable[Judgement]) -> dict[str, tuple[str, str]]:
    """Return candidate id → (rule, detail) where the instruction does not lower the loss of the output.

    By the judgements of `ifd`, if any: the loss with the instruction is at least that without (Cherry LLM's bound,
    method.md 4).
    """
    found = {}
    for judgement in judgements:
        if judgement.scorer == "ifd" and judgement.losses:
            given, alone = judgement.losses
            if given >= alone:
                detail = f"loss {given:.3f} with the instruction, {alone:.3f} without"
                found[judgement.candidate_id] = "not-helped", detail
    return found


def _example(candidate: Candidate, score: float, quality: str) -> Example:
    about = (candidate.id, candidate.messages, candidate.provenance)
    return Example(*about, origin="augmented", split="train", score=score, quality=quality)
