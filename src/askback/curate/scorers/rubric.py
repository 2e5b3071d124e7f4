"""The paper's five-level rubric (method.md 1.7), read from the model's own probabilities."""

import math
from collections.abc import Sequence

from askback import prompts
from askback.config import Score
from askback.engines.base import Engine
from askback.records import Candidate, Judgement, record_id

LEVELS = (1, 2, 3, 4, 5)


def judge(engine: Engine, model_id: str, options: Score, candidates: Sequence[Candidate]) -> list[Judgement]:
    """Return the expected level of each candidate: the sum of level times probability over 1 to 5.

    Departure: the paper samples a reasoning and a digit and reads the digit with a pattern; the public reproduction lost
    45 to 67 % of its scores so (method.md 6.1). Here the answer is made to begin with "Score:" and the score is the
    expected value under the model's probabilities of the five digits, which always exists, and gives "4.5 or more" a
    meaning. Only a model whose numbers overflow leaves a candidate unscored.
    """
    asked = [prompts.rubric(c.instruction, engine.truncate(c.output, options.max_output_tokens)) for c in candidates]
    rows = engine.choose(asked, [f" {level}" for level in LEVELS])
    return [_judgement(model_id, candidate, row) for candidate, row in zip(candidates, rows, strict=True)]


def _judgement(model_id: str, candidate: Candidate, logprobs: Sequence[float]) -> Judgement:
    prompt_id = prompts.prompt_id("rubric")
    score, distribution, mass = None, list[float](), None
    if all(math.isfinite(value) for value in logprobs):
        distribution, mass = normalise(logprobs)
        score = sum(level * share for level, share in zip(LEVELS, distribution, strict=True))
    return Judgement(
        id=record_id(candidate.id, prompt_id, model_id),
        candidate_id=candidate.id,
        scorer="rubric",
        score=score,
        distribution=distribution,
        mass=mass,
        raw="",
        prompt_id=prompt_id,
        model_id=model_id,
    )


def normalise(logprobs: Sequence[float]) -> tuple[list[float], float]:
    """Return (probabilities that sum to 1, the mass they had before); log-probabilities may be very small."""
    top = max(logprobs)
    weights = [math.exp(value - top) for value in logprobs]
    return [weight / sum(weights) for weight in weights], math.exp(top) * sum(weights)
