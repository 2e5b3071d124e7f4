"""How far scores may differ with the order of the prompts and with what else is asked: a bound for each dtype."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from askback.engines.protocol import Engine
from askback.prompts.prompt import Prompt

LEVELS = [f" {level}" for level in range(1, 6)]


class Scores(NamedTuple):
    """Of each prompt: the log-probability of an answer, its tokens, and the expected rating."""

    nats: list[float]
    tokens: list[int]
    rating: list[float]


def scores(engine: Engine, prompts: Sequence[Prompt], order: Sequence[int]) -> Scores:
    """Return the scores of the prompts, which are asked for in this order."""
    asked = [prompts[at] for at in order]
    found = engine.loglikelihood(asked, [f" {1 + at % 5}: answer {at} is of use." for at in order])
    ratings = [_expected(row) for row in engine.choose(asked, LEVELS)]
    place = {at: number for number, at in enumerate(order)}
    back = [place[at] for at in range(len(prompts))]
    return Scores([found[at].logprob for at in back], [found[at].tokens for at in back], [ratings[at] for at in back])


def assert_alike(one: Scores, other: Scores, dtype: str) -> None:
    """Assert the bounds: in float32 1e-3 nats a sequence, in bfloat16 5e-3 nats a token in the mean; 0.02 of a rating."""
    assert one.tokens == other.tokens
    apart = [abs(a - b) for a, b in zip(one.nats, other.nats, strict=True)]
    rated = [abs(a - b) for a, b in zip(one.rating, other.rating, strict=True)]
    if dtype == "float32":
        assert max(apart) < 1e-3, max(apart)
    assert sum(nats / tokens for nats, tokens in zip(apart, one.tokens, strict=True)) / len(apart) < 5e-3
    assert max(rated) < 0.02, max(rated)


def _expected(row: Sequence[float]) -> float:
    shares = [math.exp(value) for value in row]
    return sum(level * share for level, share in enumerate(shares, 1)) / sum(shares)
