"""Self-curation, second half: choose the candidates to train on. Pure, and a matter of seconds (method.md 1.7)."""

import math

from askback.config import Select
from askback.curate.combine import combine
from askback.errors import InputError
from askback.execution.identity import recorded
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.records import Candidate, Example, Outcome, fail, reject

STAGE = "candidates"


@recorded(version=2)
def select(step: Step, options: Select, *, candidates: Records, judgements: Records) -> Records:
    """Keep the candidates that `options` chooses, as examples; the others are rejected with their score.

    Raises:
        InputError: more than `max_unscored` of the candidates have no score.
    """
    scores = combine(judgements, options.weights)
    chosen = choose(scores, options)
    unscored = sum(score is None for score in scores.values())
    if unscored > options.max_unscored * len(scores):
        raise InputError(
            f"{judgements.folder}: {unscored:,} of {len(scores):,} candidates have no score, more than the share of "
            f"{options.max_unscored} that select.max_unscored allows. Read the raw judgements there."
        )
    outcome = Outcome()
    for candidate in candidates:
        score = scores[candidate.id]
        if candidate.id in chosen:
            assert score is not None
            outcome.keep(STAGE, _example(candidate, score))
        elif score is None:
            outcome.drop(fail(candidate.id, STAGE, "unscored", uri=candidate.uri, text=candidate.instruction))
        else:
            detail = f"score {score:.3f}"
            outcome.drop(
                reject(candidate.id, STAGE, "not-chosen", detail, uri=candidate.uri, text=candidate.instruction)
            )
    return step.write(Example, [outcome])


def choose(scores: dict[str, float | None], options: Select) -> set[str]:
    """Return the ids that are chosen: all at `min_score` or above, or the best so many, ties broken by id.

    Departure: the paper knows the threshold only; a small model's absolute scale is off, its order less so.
    """
    ranked = sorted((-score, id) for id, score in scores.items() if score is not None)
    if options.min_score is not None:
        return {id for score, id in ranked if -score >= options.min_score}
    if options.top_n is not None:
        return {id for _, id in ranked[: options.top_n]}
    assert options.top_fraction is not None
    # Rounded up: any fraction of something is something.
    return {id for _, id in ranked[: math.ceil(options.top_fraction * len(scores))]}


def _example(candidate: Candidate, score: float) -> Example:
    return Example(
        id=candidate.id,
        instruction=candidate.instruction,
        output=candidate.output,
        origin="augmented",
        split="train",
        uri=candidate.uri,
        source=candidate.source,
        licence=candidate.licence,
        language=candidate.language,
        score=score,
    )
