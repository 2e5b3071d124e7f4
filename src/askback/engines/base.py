"""The engine protocol: the three things the method asks of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is put to a model: the user's turn, and the words its answer is made to begin with.

    An engine renders it through `askback.prompts.render`, or sends it as chat messages; nothing else may.
    """

    user: str
    answer_start: str = ""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to draw an answer. Temperature 0 takes the likeliest token."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer: its text without stop tokens, its length in tokens, and whether the model ended it itself."""

    text: str
    tokens: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Natural log-probability of a continuation, stop token included, summed over its `tokens`."""

    logprob: float
    tokens: int


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

        The values are the model's own, not normalised over the choices.
        """
        ...

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return, per prompt, how likely the model finds its continuation as the whole answer."""
        ...

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the beginning of `text` that is at most `max_tokens` long."""
        ...
