"""The engine protocol: the four calls that the method needs of a model."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from askback.prompts.prompt import Prompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    States = NDArray[np.float32]
    """Pooled hidden states of an answer, layer × 2 × width: the mean over its tokens, and those of its last token."""

NEXT_TO_IMPOSSIBLE = math.log(1e-30)
"""Log-probability below which the order of choices means nothing; servers write -9999 for missing values."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample an answer. Temperature 0 takes the most likely token."""

    temperature: float
    top_p: float
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """An answer: its text without stop tokens, its length in tokens, and whether it ended with a stop token.

    `error` is the reason where a server gave no answer to this prompt.
    """

    text: str
    tokens: int
    finished: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Natural log-probability of a continuation, stop token included, summed over its `tokens`.

    NaN where a server gave none; `error` is the reason.
    """

    logprob: float
    tokens: int
    error: str = ""


class Unanswered(list[float]):
    """Missing log-probabilities of choices: a NaN for each, and the reason."""

    def __init__(self, choices: int, reason: str) -> None:
        super().__init__([math.nan] * choices)
        self.reason = reason


def why_none(row: Sequence[float]) -> str:
    """Return why the log-probabilities of choices cannot be used, "" where they can."""
    if isinstance(row, Unanswered):
        return row.reason
    if any(math.isnan(value) or value == math.inf for value in row):
        return f"log-probabilities {', '.join(f'{value:.4g}' for value in row)}"
    if max(row) < NEXT_TO_IMPOSSIBLE:
        return f"no choice has a probability above 1e-30 (log-probabilities {', '.join(f'{v:.4g}' for v in row)})"
    return ""


CALLS = frozenset({"generate", "choose", "loglikelihood", "represent"})
"""Names of the calls of an engine."""


class Engine(Protocol):
    """A model that is loaded, or connected to, and ready. Each method answers in the order of its prompts."""

    @property
    def calls(self) -> frozenset[str]:
        """Which of `CALLS` it answers. A class attribute, so that a plan knows it without a model."""
        ...

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one answer per prompt; answer i depends on prompt i and `seeds[i]` alone."""
        ...

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return, per prompt, the natural log-probability of each choice after `answer_start`.

        The values are not normalised over the choices; `Unanswered` where there are none for this prompt.
        """
        ...

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return, per prompt, the likelihood of its continuation as the whole answer."""
        ...

    def represent(self, prompts: Sequence[Prompt], answers: Sequence[str], depths: Sequence[float]) -> "list[States]":
        """Return, per prompt, the pooled hidden states of its answer, stop token included, at these depths of the model.

        A depth of 1 is the last layer, 0.5 the middle one. States depend on the prompt and answer alone.
        """
        ...

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the beginning of `text` of at most `max_tokens` tokens."""
        ...


@runtime_checkable
class Server(Protocol):
    """What an engine has beside that which asks a server's own model (`EngineKind.served`)."""

    def describe(self) -> str:
        """Return in a line what the server offers."""
        ...
