"""Rating by a digit: from a scorer's prompt to a judgement, for all scorers that ask a model for a rating."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

from askback import prompts
from askback.curate.scorers import Scorer
from askback.curate.scorers.parse import parse
from askback.engines.protocol import Completion, Engine, Sampling, why_none
from askback.prompts.prompt import Prompt
from askback.recipe import Score
from askback.records import UNSCORED, Conversation, Judgement, draw, record_id

REPLY_TOKENS = 16
"""Tokens that a written rating may take: enough for "Score: 4" in any tokenizer, with some decoration."""
MARGIN = 0.01
"""Share of the scale by which a score without what may be a vote has to be lower to count."""


@dataclass(frozen=True, slots=True)
class Rating:
    """The rating in one answer, with fields as in `Judgement`; `why` is the reason for a missing score."""

    score: float | None
    distribution: list[float]
    mass: float | None
    why: str = ""


def rate(
    scorer: Scorer, engine: Engine, model_id: str, options: Score, pairs: Sequence[Conversation], random_seed: int
) -> list[Judgement]:
    """Return the expected level of each pair: the sum of level times probability, over the scorer's scale.

    With `options.reasoning` the model writes a reasoning first, and the probabilities of the digits are read after it; the
    score is the mean over the samples. An engine without log-probabilities writes the digit too, and `parse` reads it.
    Samples without a score are left out of the mean; a judgement without any is unscored.

    A pair that may vote for itself is judged without the vote too, and the lower judgement counts (`_lower`).
    """
    levels = range(int(scorer.lowest), int(scorer.highest) + 1)
    versions = [_versions(scorer, engine, options, pair, levels) for pair in pairs]
    seeds = [
        [draw(random_seed, pair.id, scorer.name, number) for number in range(options.samples)]
        for pair, own in zip(pairs, versions, strict=True)
        for _ in own
    ]
    answers = iter(_answers(engine, options, levels, [prompt for own in versions for prompt in own], seeds))
    prompt_id = prompts.prompt_id(scorer.name, scorer.words)
    return [
        _lower([_judgement(scorer.name, prompt_id, model_id, pair, *one) for one in islice(answers, len(own))], levels)
        for pair, own in zip(pairs, versions, strict=True)
    ]


def _versions(scorer: Scorer, engine: Engine, options: Score, pair: Conversation, levels: range) -> list[Prompt]:
    """Return the prompt of a pair, and one without its votes, if there may be any (`prompts.without_numbered`).

    The answer begins with the digit, or with the reasoning where one is wanted.
    """
    shown: dict[str, str] = {name: getattr(pair, name) for name in scorer.looks_at}
    if "output" in shown:
        shown["output"] = engine.truncate(pair.output, options.max_output_tokens)
    silent = {name: prompts.without_numbered(text, levels[-2:]) for name, text in shown.items()}
    scale = (scorer.lowest, scorer.highest)
    found = [prompts.rating(scorer.name, scale, options.reasoning, scorer.words, **one) for one in (shown, silent)]
    return found if found[1] != found[0] else found[:1]


def _answers(
    engine: Engine, options: Score, levels: Sequence[int], asked: Sequence[Prompt], seeds: Sequence[Sequence[int]]
) -> list[tuple[list[str], list[Rating]]]:
    """Return the texts and the ratings of each prompt's samples."""
    readable = "choose" in engine.calls
    written: list[list[Completion]] = [[] for _ in asked]
    if options.reasoning or not readable:
        written = _written(engine, options, asked, seeds, readable)
    if readable:
        ended = [
            prompts.after_reasoning(prompt, one.text)
            for prompt, own in zip(asked, written, strict=True)
            for one in own
            if not one.error
        ]
        rows = iter(engine.choose(ended if options.reasoning else asked, [f" {level}" for level in levels]))
        found = [
            [_none(one) if one.error else _read(next(rows), levels) for one in own] or [_read(next(rows), levels)]
            for own in written
        ]
    else:
        found = [[_parsed(one, levels, options.reasoning) for one in own] for own in written]
    return [
        ([one.text for one in own if not one.error], readings) for own, readings in zip(written, found, strict=True)
    ]


def _lower(found: Sequence[Judgement], levels: Sequence[int]) -> Judgement:
    """Return the judgement of a pair as it is, or that without its votes where that is lower by `MARGIN` of the scale."""
    whole, silent = found[0], found[-1]
    if whole.score is None or silent.score is None:
        return whole
    return silent if whole.score - silent.score > MARGIN * (levels[-1] - levels[0]) else whole


def _written(
    engine: Engine, options: Score, asked: Sequence[Prompt], seeds: Sequence[Sequence[int]], readable: bool
) -> list[list[Completion]]:
    """Return, per prompt, the text of each sample, including the start that was given."""
    samples = options.samples
    length = (options.reasoning_tokens if options.reasoning else 0) + (0 if readable else REPLY_TOKENS)
    drawn = engine.generate(
        [prompt for prompt in asked for _ in range(samples)],
        # Without a reasoning one digit is written: the most likely one.
        Sampling(options.temperature if options.reasoning else 0.0, options.top_p, length),
        [seed for own in seeds for seed in own],
    )
    found = iter(drawn)
    return [[replace(one, text=prompt.answer_start + one.text) for one in islice(found, samples)] for prompt in asked]


def _none(one: Completion) -> Rating:
    return Rating(None, [], None, one.error)


def _read(logprobs: Sequence[float], levels: Sequence[int]) -> Rating:
    if why := why_none(logprobs):
        return Rating(None, [], None, why)
    distribution, mass = normalise(logprobs)
    return Rating(sum(level * share for level, share in zip(levels, distribution, strict=True)), distribution, mass)


def _parsed(one: Completion, levels: Sequence[int], reasoned: bool) -> Rating:
    if one.error:
        return _none(one)
    if reasoned and not one.finished:
        return Rating(
            None, [], None, "the reasoning was cut short before its score"
        )  # a score inside it is a quotation
    score = parse(one.text, min(levels), max(levels))
    return Rating(score, [], None, "" if score is not None else f"none in the text {one.text[-100:]!r}")


def _judgement(
    scorer: str, prompt_id: str, model_id: str, pair: Conversation, texts: list[str], readings: Sequence[Rating]
) -> Judgement:
    found = _mean([reading for reading in readings if reading.score is not None])
    reasons = [f"{UNSCORED}{reading.why}" for reading in readings if reading.why]
    return Judgement(
        id=record_id(pair.id, scorer, prompt_id, model_id),
        candidate_id=pair.id,
        scorer=scorer,
        score=found.score if found else None,
        distribution=found.distribution if found else [],
        mass=found.mass if found else None,
        raw=texts + reasons,
        losses=[],
        prompt_id=prompt_id,
        model_id=model_id,
    )


def _mean(readings: Sequence[Rating]) -> Rating | None:
    """Return the mean of several samples' ratings, None of none."""
    if len(readings) < 2:
        return readings[0] if readings else None
    masses = [reading.mass for reading in readings if reading.mass is not None]
    return Rating(
        fmean(reading.score for reading in readings if reading.score is not None),
        [fmean(shares) for shares in zip(*(reading.distribution for reading in readings), strict=True)],
        fmean(masses) if masses else None,
    )


def normalise(logprobs: Sequence[float]) -> tuple[list[float], float]:
    """Return (probabilities normalised to sum to 1, their sum before); the log-probabilities may be very small."""
    top = max(logprobs)
    weights = [math.exp(value - top) for value in logprobs]
    total = sum(weights)
    return [weight / total for weight in weights], math.exp(top) * total
