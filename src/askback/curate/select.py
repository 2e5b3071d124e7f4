"""Self-curation, second half: choose the candidates to train on, without a model, in seconds (method.md 1.7)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from askback.curate.agreement import agreement
from askback.curate.choose import Scored, choose, least_score, quality_bins, scored
from askback.curate.combine import combine
from askback.curate.label_file import Verdict, pair_of
from askback.curate.labels import verdicts
from askback.curate.levels import by_highest_level
from askback.curate.thresholds import forecast
from askback.errors import EmptyStep, InputError
from askback.execution.identity import file_fingerprint, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Select, Selection
from askback.records import UNSCORED, Candidate, Example, Judgement, fail, reject

STAGE = "candidates"


Before = tuple[()] | tuple[Records[Judgement], Records[Example]]
"""The judgements and chosen examples of the round before; () for the first round."""


def _label_files(options: Select) -> dict[str, str]:
    return {options.labels: file_fingerprint(Path(options.labels))} if options.labels else {}


@recorded(version=7, forecast=forecast, sources=_label_files)
def select(
    step: Step, options: Select, *, candidates: Records[Candidate], judgements: Records[Judgement], before: Before = ()
) -> Records[Example]:
    """Keep the candidates that `options` chooses, as examples; the others are rejected with their rule and score.

    What people say of a pair goes (`options.labels`): one that they want is chosen, in the text that they made of it, and
    one that they do not want is dropped ("reviewed"). Of the others, candidates without a score fail ("unscored"), and
    those whose instruction does not help are dropped ("not-helped"); then come the rules of `choose`. In `step.json`,
    metrics: `agreement` with the round before; `reviewed`, how many pairs people kept, edited and dropped.

    Args:
        options: options of one round (`Select.of_round`).

    Raises:
        EmptyStep: no candidate is chosen; the message describes the scores.
        InputError: more than `max_unscored` of the candidates have no score, or fewer than `bins` are kept.
    """
    said = _said_by_people(candidates, options)
    wanted = {id for id, verdict in said.items() if verdict.keep}
    scores, eligible, reasons = _decided(options, candidates, judgements, judgements.folder, said)
    why = reasons_of(judgements)
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
        if candidate.id in wanted:
            highest = f"{options.bins} of {options.bins}" if options.bins else ""
            found = _example(candidate, score, qualities.get(candidate.id, highest))
            verdict = said[candidate.id]
            outcome.keep(STAGE, replace(found, messages=verdict.edited or found.messages, human_reviewed=True))
        elif score is None and candidate.id not in reasons:
            detail = why.get(candidate.id, "")
            outcome.drop(fail(candidate.id, STAGE, "unscored", detail, uri=uri, text=candidate.instruction))
        elif candidate.id in reasons:
            rule, detail = reasons[candidate.id]
            outcome.drop(reject(candidate.id, STAGE, rule, detail, uri=uri, text=candidate.instruction))
        else:
            assert score is not None, "one without a score has failed"
            outcome.keep(STAGE, _example(candidate, score, qualities.get(candidate.id, "")))
    if not outcome.kept:
        raise EmptyStep(
            f"{step.folder}: {none_chosen([one.score for one in eligible], options, Counter(outcome.reasons))}"
        )
    if isinstance(options, Selection) and options.until is not None:
        step.metrics["wanted"] = options.until
    if before:
        earlier, chosen_before = before
        chosen = {example.id for example in chosen_before}
        now = {example.id for example in outcome.kept}
        step.metrics["agreement"] = agreement(_scores(earlier, options), scores, chosen, now)
    if options.labels:
        edited = sum(bool(one.edited) for id, one in said.items() if id in wanted)
        step.metrics["reviewed"] = {"kept": len(wanted), "edited": edited, "dropped": len(said) - len(wanted)}
    return step.write(Example, [outcome])


def count_chosen(
    options: Select, candidates: Sequence[Records[Candidate]], judgements: Sequence[Records[Judgement]]
) -> int:
    """Return how many of the candidates so far `select` would choose.

    Raises:
        InputError: more than `max_unscored` of them have no score.
    """
    asked = [one for part in candidates for one in part]
    judged = [one for part in judgements for one in part]
    said = _said_by_people(asked, options)
    scores, _, reasons = _decided(options, asked, judged, judgements[-1].folder, said)
    wanted = {id for id, verdict in said.items() if verdict.keep}
    return sum(id in wanted or (score is not None and id not in reasons) for id, score in scores.items())


def _decided(
    options: Select,
    candidates: Iterable[Candidate],
    judgements: Iterable[Judgement],
    folder: Path,
    said: Mapping[str, Verdict],
) -> tuple[dict[str, float | None], list[Scored], dict[str, tuple[str, str]]]:
    """Return the score of each candidate, those that may be chosen, and (rule, detail) of each that is not.

    Args:
        said: candidate id → what people want of it.
    """
    scores = _scores(judgements, options)
    _check_unscored(folder, scores, reasons_of(judgements), options.max_unscored)
    wanted = {id for id, verdict in said.items() if verdict.keep}
    reasons = unhelpful(judgements) if options.drop_unhelpful else {}
    reasons |= {id: ("reviewed", f"dropped by {', '.join(one.by)}") for id, one in said.items() if not one.keep}
    reasons = {id: reason for id, reason in reasons.items() if id not in wanted}
    eligible = [
        scored(candidate, score)
        for candidate in candidates
        if (score := scores[candidate.id]) is not None and candidate.id not in reasons
    ]
    return scores, eligible, reasons | choose(eligible, options, len(scores), wanted)


def _said_by_people(candidates: Iterable[Candidate], options: Select) -> dict[str, Verdict]:
    """Return candidate id → what people want of it, of those that they have labelled."""
    found = verdicts(Path(options.labels)) if options.labels else {}
    about = ((candidate.id, found.get(pair_of(candidate.messages))) for candidate in candidates if found)
    return {id: verdict for id, verdict in about if verdict}


def _check_unscored(folder: Path, scores: Mapping[str, float | None], why: Mapping[str, str], allowed: float) -> None:
    unscored = sum(score is None for score in scores.values())
    if unscored > allowed * len(scores):
        often, count = Counter(why.values()).most_common(1)[0] if why else ("not stated", unscored)
        raise InputError(
            f"{folder}: {unscored:,} of {len(scores):,} candidates have no score, more than the share of "
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


def _example(candidate: Candidate, score: float | None, quality: str) -> Example:
    about = (candidate.id, candidate.messages, candidate.provenance)
    return Example(*about, origin="augmented", split="train", score=score, quality=quality)
