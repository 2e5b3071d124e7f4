"""The engine protocol: the three things the method asks of a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from askback.prompts.prompt import Prompt

NEXT_TO_IMPOSSIBLE = math.log(1e-30)
"""Where no choice is likelier than this, their order says nothing; servers write -9999 for what they do not tell."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw an answer. Temperature 0 takes the likeliest token."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer: its text without stop tokens, its length in tokens, and whether the model ended it itself.

    `error` says why there is none, where a server gave none for this prompt and does for others.
    """

    text: str
    tokens: int
    finished: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Natural log-probability of a continuation, stop token included, summed over its `tokens`.

    NaN where a server gave none; `error` says why.
    """

    logprob: float
    tokens: int
    error: str = ""


class Unanswered(list[float]):
    """In place of the log-probabilities of choices where there are none: as many NaNs, and the reason."""

    def __init__(self, choices: int, reason: str) -> None:
        super().__init__([math.nan] * choices)
        self.reason = reason


def why_none(row: Sequence[float]) -> str:
    """Return why the log-probabilities of choices say nothing, "" where they say something: a choice has a probability."""
    if isinstance(row, Unanswered):
        return row.reason
    if any(math.isnan(value) or value == math.inf for value in row):
        return f"log-probabilities {', '.join(f'{value:.4g}' for value in row)}"
    if max(row) < NEXT_TO_IMPOSSIBLE:
        return f"no choice has a probability above 1e-30 (log-probabilities {', '.join(f'{v:.4g}' for v in row)})"
    return ""


CALLS = frozenset({"generate", "choose", "loglikelihood"})
"""What an engine may be asked for."""


class Engine(Protocol):
    """A model that is loaded, or connected to, and ready. Each method answers in the order of its prompts."""

    @property
    def calls(self) -> frozenset[str]:
        """Which of `CALLS` it can answer. A class attribute of an engine, so that a plan can tell without a model."""
        ...

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Draw one answer per prompt; row i depends on prompt i and `seeds[i]` alone."""
        ...

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return, per prompt, the natural log-probability of each choice as what follows `answer_start`.

        The values are the model's own, not normalised over the choices; `Unanswered` where there is no answer for this
        prompt.
        """
        ...

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return, per prompt, how likely the model finds its continuation as the whole answer."""
        ...

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the beginning of `text` that is at most `max_tokens` long."""
        ...
