"""Self-curation, second half: choose the candidates to train on. Pure, and a matter of seconds (method.md 1.7)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from askback.curate.agreement import agreement
from askback.curate.choose import choose, least_score, quality_bins, scored
from askback.curate.combine import combine
from askback.curate.levels import by_highest_level
from askback.errors import EmptyStep, InputError
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Select
from askback.records import UNSCORED, Candidate, Example, Judgement, fail, reject

STAGE = "candidates"


Before = tuple[()] | tuple[Records[Judgement], Records[Example]]
"""What a round judged and chose; nothing of the first."""


@recorded(version=7)
def select(
    step: Step,
    options: Select,
    *,
    candidates: Records[Candidate],
    judgements: Records[Judgement],
    before: Before = (),
) -> Records[Example]:
    """Keep the candidates that `options` chooses, as examples; the others are rejected with their rule and score.

    First those without a score fail ("unscored") and those whose instruction does not help are dropped ("not-helped");
    `choose` has the rules that follow, in their order. In `step.json`, metrics: `agreement` with the round before.

    Args:
        options: of one round (`Select.of_round`).
        before: the judgements and the chosen examples of the round before; none for the first.

    Raises:
        EmptyStep: none is chosen; the message says how the scores lie.
        InputError: more than `max_unscored` of the candidates have no score, or there are fewer to train on than `bins`.
    """
    scores = _scores(judgements, options)
    unscored = sum(score is None for score in scores.values())
    why = reasons_of(judgements)
    if unscored > options.max_unscored * len(scores):
        often, count = Counter(why.values()).most_common(1)[0] if why else ("not stated", unscored)
        raise InputError(
            f"{judgements.folder}: {unscored:,} of {len(scores):,} candidates have no score, more than the share of "
            f"{options.max_unscored} that select.max_unscored allows. The reason of {count:,} of them: {often}. All are in "
            "the raw judgements there."
        )
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


def reasons_of(judgements: Iterable[Judgement]) -> dict[str, str]:
    """Return why candidates have no score, by id: what the first scorer that has none for it says."""
    found: dict[str, str] = {}
    for judgement in judgements:
        said = [text.removeprefix(UNSCORED) for text in judgement.raw if text.startswith(UNSCORED)]
        if judgement.score is None and said:
            found.setdefault(judgement.candidate_id, f"{judgement.scorer}: {said[0]}")
    return found


def _scores(judgements: Iterable[Judgement], options: Select) -> dict[str, float | None]:
    """Return the score that `options` goes by of each candidate."""
    read = judgements if options.min_probability is None else by_highest_level(judgements)
    return combine(read, options.weights)


WOULD_CHOOSE = (0.5, 0.2, 0.1, 0.05)
"""Shares of the candidates for which an error names the threshold, where the recipe's chooses none."""


def none_chosen(scores: Sequence[float], options: Select, reasons: Counter[str]) -> str:
    """Say why no candidate is chosen: what dropped them, how the scores lie, and what other thresholds would choose."""
    why = (
        ", ".join(f"{reason.partition('/')[2]} {count:,}" for reason, count in reasons.most_common()) or "none came in"
    )
    said = f"none of {sum(reasons.values()):,} candidates is chosen ({why})"
    name = "min_score" if options.min_score is not None else "min_probability"
    if not scores or least_score(options) is None:
        return f"{said}. Read the judgements, and change score or select"
    ordered = sorted(scores)
    would = [
        f"{at:.2f} would choose {sum(score >= at for score in ordered):,}"
        for share in WOULD_CHOOSE
        if (at := ordered[min(len(ordered) - 1, int((1 - share) * len(ordered)))])
    ]
    return (
        f"{said}: select.{name} is {least_score(options)}, and the scores go from {ordered[0]:.2f} to {ordered[-1]:.2f}, "
        f"half of them below {ordered[len(ordered) // 2]:.2f}. {', '.join(dict.fromkeys(would))}. Give a lower {name}, "
        "or top_fraction or top_n; nothing else is made again"
    )


def unhelpful(judgements: Iterable[Judgement]) -> dict[str, tuple[str, str]]:
    """Return (rule, detail) of the candidates whose instruction does not help to predict the output, by id.

    From the judgements of `ifd`, where there are any: a ratio of the losses, given the instruction to without it, of 1 or
    more (Cherry LLM's bound, method.md 4).
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
