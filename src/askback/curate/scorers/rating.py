"""From a prompt that asks for a digit to a judgement: what the scorers that ask have in common."""

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
"""Enough for "Score: 4" in any tokenizer, and for a model that embellishes it."""


@dataclass(frozen=True, slots=True)
class Rating:
    """One reading of one answer; see `Judgement`. Without a score, `why` says why there is none."""

    score: float | None
    distribution: list[float]
    mass: float | None
    why: str = ""


def rate(
    scorer: Scorer, engine: Engine, model_id: str, options: Score, pairs: Sequence[Conversation], random_seed: int
) -> list[Judgement]:
    """Return the expected level of each pair: the sum of level times probability, over the scorer's scale.

    With `options.reasoning` the model writes first, and the digit is read from the probabilities after that; of several
    such samples the mean counts. An engine without probabilities writes the digit too, and `parse` reads it. What gives
    no score is left out of the mean; a judgement without any is unscored.
    """
    levels = range(int(scorer.lowest), int(scorer.highest) + 1)
    asked = [_asked(scorer, engine, options, pair) for pair in pairs]
    readable = "choose" in engine.calls
    written: list[list[Completion]] = [[] for _ in pairs]
    if options.reasoning or not readable:
        seeds = [
            [draw(random_seed, pair.id, scorer.name, number) for number in range(options.samples)] for pair in pairs
        ]
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
    prompt_id = prompts.prompt_id(scorer.name, scorer.words)
    return [
        _judgement(scorer.name, prompt_id, model_id, pair, [one.text for one in own if not one.error], readings)
        for pair, own, readings in zip(pairs, written, found, strict=True)
    ]


def _asked(scorer: Scorer, engine: Engine, options: Score, pair: Conversation) -> Prompt:
    """Return the prompt of a pair; its answer starts with the digit, or with the reasoning if there is to be one."""
    shown = {name: getattr(pair, name) for name in scorer.looks_at}
    if "output" in shown:
        shown["output"] = engine.truncate(pair.output, options.max_output_tokens)
    return prompts.rating(scorer.name, (scorer.lowest, scorer.highest), options.reasoning, scorer.words, **shown)


def _written(
    engine: Engine, options: Score, asked: Sequence[Prompt], seeds: Sequence[Sequence[int]], readable: bool
) -> list[list[Completion]]:
    """Return, per prompt, what the model wrote in each sample, the start it was given included."""
    samples = options.samples
    length = (options.reasoning_tokens if options.reasoning else 0) + (0 if readable else REPLY_TOKENS)
    drawn = engine.generate(
        [prompt for prompt in asked for _ in range(samples)],
        # A digit without reasoning is drawn once, so the likeliest is wanted.
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
        return Rating(None, [], None, "the reasoning was cut short before its score")  # one in it is quoted
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
    """Return the mean of several samples' readings. One, as there is without a reasoning, is its own mean."""
    if len(readings) < 2:
        return readings[0] if readings else None
    masses = [reading.mass for reading in readings if reading.mass is not None]
    return Rating(
        fmean(reading.score for reading in readings if reading.score is not None),
        [fmean(shares) for shares in zip(*(reading.distribution for reading in readings), strict=True)],
        fmean(masses) if masses else None,
    )


def normalise(logprobs: Sequence[float]) -> tuple[list[float], float]:
    """Return (probabilities that sum to 1, the mass they had before); log-probabilities may be very small."""
    top = max(logprobs)
    weights = [math.exp(value - top) for value in logprobs]
    total = sum(weights)
    return [weight / total for weight in weights], math.exp(top) * total
